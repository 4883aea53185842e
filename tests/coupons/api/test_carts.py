from datetime import timedelta

import pytest

from accounts.identity import scopes
from core.timestamps import format_time
from coupons.models import Coupon, CouponSettings, Redemption, Reservation
from tests.coupons.conftest import faulty_fields
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponCategoryFactory, CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

CARTS = "/coupon/acme/cart-validations"
RESERVED = "/coupon/acme/cart-reservations"


@pytest.fixture
def own(customer_api, customer):
    """The customer's own session."""
    return customer_api(customer)


def cart(*codes, items=(("P1", 60), ("P2", 40)), **members):
    lines = [{"id": product, "amount": amount, "quantity": 1} for product, amount in items]
    return {"currency": "EUR", "items": lines, "shipping": 4.9, "codes": list(codes), **members}


def absolute(tenant, code, amount, **values):
    return CouponFactory(
        tenant=tenant,
        code=code,
        discount_type="ABSOLUTE",
        discount_amount=amount,
        discount_currency="EUR",
        **values,
    )


def validated(api, *codes, **members):
    answer = api.post(CARTS, cart(*codes, **members))
    assert answer.status_code == 200, answer.content
    return answer.json()


def refusals(answer):
    """The types of the reasons against each refused code."""
    return {
        coupon["code"]: [reason["type"] for reason in coupon["reasons"]]
        for coupon in answer["coupons"]
        if not coupon["accepted"]
    }


def test_a_cart_with_three_coupons(own, tenant):
    CouponFactory(tenant=tenant, code="TEN")
    absolute(tenant, "FIVE", 5)
    CouponFactory(tenant=tenant, code="SHIP", discount_type="FREE_SHIPPING")
    assert validated(own, " ten", "five", "SHIP", "TEN") == {
        "currency": "EUR",
        "coupons": [
            {"code": "TEN", "accepted": True, "discount": 10},
            {"code": "FIVE", "accepted": True, "discount": 5},
            {"code": "SHIP", "accepted": True, "discount": 4.9},
        ],
        "items": [
            {"id": "P1", "amount": 60, "discount": 9, "total": 51},
            {"id": "P2", "amount": 40, "discount": 6, "total": 34},
        ],
        "shipping": {"amount": 4.9, "discount": 4.9, "total": 0},
        "totals": {"items": 100, "shipping": 4.9, "discount": 19.9, "total": 85},
    }
    assert not Redemption.objects.exists()
    assert not Reservation.objects.exists()


def test_a_refused_code_says_why_and_what_would_help(own, tenant, now):
    CouponFactory(tenant=tenant, code="MORE", min_order_amount="108.20", min_order_currency="EUR")
    CouponFactory(tenant=tenant, code="SOON", valid_from=now + timedelta(days=1), max_redemptions=0)
    CouponFactory(tenant=tenant, code="GONE", is_deleted=True)
    absolute(tenant, "DOLLARS", 5)
    Coupon.objects.filter(code="DOLLARS").update(discount_currency="USD")
    answer = validated(own, "MORE", "SOON", "NOPE", "GONE", "DOLLARS")
    starts = format_time(now + timedelta(days=1))
    assert [coupon["reasons"] for coupon in answer["coupons"]] == [
        [
            {
                "type": "min_order_value_not_reached",
                "message": "The order's total must be at least 108.2 EUR.",
                "remedy": "Spend 8.2 EUR more.",
                "missingAmount": 8.2,
            }
        ],
        [
            {
                "type": "coupon_not_started",
                "message": f"The coupon is valid from {starts} on.",
                "remedy": f"Use it from {starts} on.",
            },
            {
                "type": "coupon_used_up",
                "message": "The coupon has been redeemed as often as it can be.",
            },
        ],
        *[
            [
                {
                    "type": "coupon_not_found",
                    "message": f"There is no coupon with the code {code}.",
                    "remedy": "Check how the code is written.",
                }
            ]
            for code in ("NOPE", "GONE")
        ],
        [
            {
                "type": "currency_mismatch",
                "message": "The order is in EUR, but the coupon grants an amount in USD.",
                "remedy": "Pay in USD.",
            }
        ],
    ]
    assert answer["totals"]["discount"] == 0


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        # the amount of a coupon that grants a percentage plays no part
        ({"discount_amount": 5, "discount_currency": "EUR", "min_order_currency": "USD"}, "Pay in USD."),
        # the amount is in the cart's currency already, and the minimum in another one
        (
            {"discount_type": "ABSOLUTE", "discount_amount": 5, "discount_currency": "EUR"}
            | {"min_order_currency": "USD"},
            None,
        ),
        # a minimum of nothing plays no part either
        (
            {"discount_type": "ABSOLUTE", "discount_amount": 5, "discount_currency": "CHF"}
            | {"min_order_currency": "USD", "min_order_amount": 0},
            "Pay in CHF.",
        ),
    ],
)
def test_the_currency_that_would_help_is_one_that_the_coupon_needs(own, tenant, facts, remedy):
    CouponFactory(tenant=tenant, code="X", **{"min_order_amount": 10, **facts})
    [coupon] = validated(own, "X")["coupons"]
    [reason] = coupon["reasons"]
    assert (reason["type"], reason.get("remedy")) == ("currency_mismatch", remedy)


def test_the_minimum_is_compared_with_the_undiscounted_total(own, tenant):
    CouponFactory(tenant=tenant, code="HALF", discount_percentage=50)
    CouponFactory(tenant=tenant, code="MIN", min_order_amount=100, min_order_currency="EUR")
    assert refusals(validated(own, "HALF", "MIN")) == {}
    assert refusals(validated(own, "MIN", items=[("P1", 99.99)])) == {"MIN": ["min_order_value_not_reached"]}


def test_a_coupon_of_segments_discounts_only_the_items_of_those_that_count(own, tenant, site, customer):
    coupon = CouponFactory(tenant=tenant, code="S", is_segment_restricted=True, discount_percentage=50)
    for name, is_member in (("P1", True), ("P2", False)):
        segment = SegmentFactory(site=site)
        CouponSegmentFactory(coupon=coupon, segment=segment)
        ItemAssignmentFactory(segment=segment, product=ProductFactory(tenant=tenant, external_id=name))
        if is_member:
            CustomerAssignmentFactory(segment=segment, customer=customer)
    answer = validated(own, "S")
    assert [line["discount"] for line in answer["items"]] == [30, 0]
    stranger = SegmentFactory(site=site)
    other = CouponFactory(tenant=tenant, code="T", is_segment_restricted=True)
    CouponSegmentFactory(coupon=other, segment=stranger)
    assert refusals(validated(own, "T")) == {"T": ["segment_membership_missing", "no_eligible_item"]}


def test_a_coupon_of_categories_discounts_only_their_items(own, tenant):
    coupon = CouponFactory(tenant=tenant, code="CAT", is_category_restricted=True, discount_percentage=100)
    category = CategoryFactory(tenant=tenant)
    CategoryAssignmentFactory(product=ProductFactory(tenant=tenant, external_id="P2"), category=category)
    CouponCategoryFactory(coupon=coupon, category=category)
    absolute(tenant, "REST", 1000)
    answer = validated(own, "CAT", "REST")
    assert [coupon["discount"] for coupon in answer["coupons"]] == [40, 60]
    assert answer["totals"]["total"] == 4.9


def test_what_others_have_taken_off_already_is_no_item(own, tenant):
    CouponFactory(tenant=tenant, code="ALL", discount_percentage=100)
    absolute(tenant, "FIVE", 5)
    assert refusals(validated(own, "ALL", "FIVE")) == {"FIVE": ["no_eligible_item"]}


def test_a_cart_takes_as_many_coupons_as_the_settings_say(own, tenant):
    codes = [f"N{number}" for number in range(6)]
    for code in codes:
        absolute(tenant, code, 1)
    assert refusals(validated(own, *codes)) == {"N5": ["too_many_coupons"]}
    CouponSettings.objects.create(tenant=tenant, max_coupons_per_cart=2)
    assert list(refusals(validated(own, *codes))) == ["N2", "N3", "N4", "N5"]


def test_codes_that_differ_by_case_are_different_where_case_matters(own, tenant):
    CouponSettings.objects.create(tenant=tenant, codes_are_case_sensitive=True)
    for code in ("a", "A"):
        absolute(tenant, code, 1)
    assert refusals(validated(own, "a", "A", "b")) == {"b": ["coupon_not_found"]}


@pytest.mark.parametrize(("currency", "amount"), [("EUR", 10.005), ("JPY", 1.5), ("KWD", 1.0005)])
def test_amounts_that_cannot_be_paid_are_refused(own, currency, amount):
    answer = own.post(CARTS, cart(currency=currency, items=[("P1", amount)], shipping=0))
    assert answer.status_code == 400
    assert f"items[0].amount cannot be paid in {currency}" in answer.json()["message"]


def test_bounds(own):
    assert faulty_fields(own.post(CARTS, cart(*map(str, range(21))))) == ["codes"]
    assert faulty_fields(own.post(CARTS, cart(items=[("P", 1)] * 201))) == ["items"]
    assert faulty_fields(own.post(CARTS, cart(currency="euro"))) == ["currency"]


def test_anonymous_sessions_validate_what_allows_them(anonymous_api, tenant):
    absolute(tenant, "OPEN", 1, allows_anonymous=True, max_redemptions=1)
    absolute(tenant, "A", 1)
    assert refusals(validated(anonymous_api, "OPEN", "A")) == {"A": ["anonymous_not_allowed"]}
    assert anonymous_api.post(RESERVED, cart("OPEN")).status_code == 403


def test_guesses_are_counted_code_by_code(own, settings):
    settings.COUPON_FAILED_ATTEMPTS = 4
    assert refusals(validated(own, "X1", "X2"))
    answer = own.post(RESERVED, cart("X3", "X4"))
    assert (answer.status_code, answer.json()["type"]) == (400, "coupon_not_redeemable")
    assert own.post(CARTS, cart("X5")).status_code == 429
    assert own.post(RESERVED, cart("X5")).status_code == 429


def test_a_cart_is_reserved_and_confirmed_as_a_whole(own, manager, tenant, now):
    CouponFactory(tenant=tenant, code="TEN", max_redemptions=1)
    absolute(tenant, "FIVE", 5, max_redemptions_per_customer=1)
    answer = own.post(RESERVED, cart("TEN", "FIVE", ttlSeconds=60))
    body = answer.json()
    rows = {row.coupon.code: row for row in Reservation.objects.select_related("coupon")}
    assert (answer.status_code, body) == (
        201,
        {
            "id": body["id"],
            "expiresAt": format_time(now + timedelta(seconds=60)),
            "reservations": [{"code": code, "id": rows[code].external_id} for code in ("TEN", "FIVE")],
        },
    )
    assert {code: row.discount_amount for code, row in rows.items()} == {"TEN": 10, "FIVE": 5}
    [shown] = manager.get("/coupon/acme/coupons/TEN/reservations").json()
    assert (shown["cartId"], shown["status"]) == (body["id"], "LIVE")
    # The cart can be validated while it is reserved: reserving it again would take the place of this.
    assert refusals(validated(own, "TEN", "FIVE")) == {}

    path = f"{RESERVED}/{body['id']}/confirmation"
    confirmed = own.post(path, {"orderCode": "O1"})
    redemptions = {one.coupon.code: one for one in Redemption.objects.select_related("coupon")}
    assert (confirmed.status_code, confirmed.json()) == (
        201,
        {"redemptions": [{"code": code, "id": redemptions[code].external_id} for code in ("TEN", "FIVE")]},
    )
    assert {one.order_code for one in redemptions.values()} == {"O1"}
    assert own.post(path, {"orderCode": "O2"}).json() == confirmed.json()
    assert own.send("delete", f"{RESERVED}/{body['id']}").status_code == 409
    assert set(Coupon.objects.values_list("redemption_count", flat=True)) == {1}


def test_a_cart_with_a_refused_code_reserves_nothing(own, tenant):
    CouponFactory(tenant=tenant, code="TEN")
    CouponFactory(tenant=tenant, code="OVER", max_redemptions=0)
    answer = own.post(RESERVED, cart("TEN", "OVER", "NOPE"))
    assert answer.status_code == 400
    assert [(one["field"], one["type"]) for one in answer.json()["details"]] == [
        ("OVER", "coupon_used_up"),
        ("NOPE", "coupon_not_found"),
    ]
    assert not Reservation.objects.exists()


def test_a_cart_that_is_over_is_confirmed_as_a_whole_or_not_at_all(own, shop, tenant, clock):
    CustomerFactory(tenant=tenant, external_id="C2")
    CouponFactory(tenant=tenant, code="TEN")
    absolute(tenant, "ONCE", 5, max_redemptions=1)
    cart_id = own.post(RESERVED, cart("TEN", "ONCE", ttlSeconds=1)).json()["id"]
    clock.advance(timedelta(seconds=2))
    order = {
        "customerNumber": "C2",
        "orderTotal": {"amount": 9, "currency": "EUR"},
        "discount": {"amount": 5, "currency": "EUR"},
    }
    assert shop.post("/coupon/acme/coupons/ONCE/redemptions", order).status_code == 201
    answer = own.post(f"{RESERVED}/{cart_id}/confirmation")
    assert answer.status_code == 400
    assert [(one["field"], one["type"]) for one in answer.json()["details"]] == [("ONCE", "coupon_used_up")]
    assert Redemption.objects.filter(customer_number="C1").count() == 0
    assert Coupon.objects.get(code="TEN").redemption_count == 0


def test_a_second_cart_takes_the_place_of_the_first(own, tenant):
    for code in ("A", "B", "C"):
        absolute(tenant, code, 1)
    first = own.post(RESERVED, cart("A", "B")).json()["id"]
    second = own.post(RESERVED, cart("B", "C")).json()["id"]
    assert own.post(f"{RESERVED}/{first}/confirmation").status_code == 404
    assert Reservation.objects.filter(ended_at__isnull=True).count() == 2
    assert own.post(f"{RESERVED}/{second}/confirmation").status_code == 201


def test_a_part_of_a_cart_is_not_confirmed_or_released_alone(own, tenant):
    absolute(tenant, "A", 1)
    body = own.post(RESERVED, cart("A")).json()
    path = f"/coupon/acme/coupons/A/reservations/{body['reservations'][0]['id']}"
    for answer in (own.post(f"{path}/confirmation"), own.send("delete", path)):
        assert answer.status_code == 409
        assert body["id"] in answer.json()["message"]


def test_release_and_repetition_of_a_cart(own, shop, tenant):
    CustomerFactory(tenant=tenant, external_id="C2")
    absolute(tenant, "A", 1, max_redemptions=1)
    absolute(tenant, "B", 1, max_redemptions=1)
    key = {"Idempotency-Key": "k"}
    answers = [own.post(RESERVED, cart("A", "B"), headers=key).json() for _ in range(2)]
    assert answers[0] == answers[1]
    path = f"{RESERVED}/{answers[0]['id']}"
    assert shop.post(RESERVED, cart("B", customerNumber="C2")).status_code == 400
    assert [own.send("delete", path, headers=key).status_code for _ in range(2)] == [204, 204]
    assert own.send("delete", path).status_code == 404
    assert shop.post(RESERVED, cart("B", customerNumber="C2")).status_code == 201
    assert own.post(f"{path}/confirmation").status_code == 404


def test_carts_of_others_are_unknown(own, customer_api, shop, service_api, tenant):
    absolute(tenant, "A", 1)
    other = customer_api(CustomerFactory(tenant=tenant, external_id="C2"))
    path = f"{RESERVED}/{own.post(RESERVED, cart('A')).json()['id']}"
    assert other.post(f"{path}/confirmation").status_code == 404
    assert other.send("delete", path).status_code == 404
    assert service_api(scopes.COUPON_REDEEM).post(f"{path}/confirmation").status_code == 404
    assert shop.post(f"{path}/confirmation").status_code == 201


def test_reserving_needs_a_code_and_a_customer(own, shop):
    assert faulty_fields(own.post(RESERVED, cart())) == ["codes"]
    assert faulty_fields(shop.post(RESERVED, cart("A"))) == ["customerNumber"]


def test_the_best_set_of_the_customers_codes_is_suggested(own, anonymous_api, tenant):
    CouponFactory(tenant=tenant, code="TEN", is_listed=True)
    absolute(tenant, "FIVE", 5, valid_for=["C1"])
    absolute(tenant, "OTHERS", 50, valid_for=["C2"])
    absolute(tenant, "MIN", 50, is_listed=True, min_order_amount=101, min_order_currency="EUR")
    absolute(tenant, "ENTERED", 20)
    CouponFactory(tenant=tenant, code="SHIP", discount_type="FREE_SHIPPING", is_listed=True)
    answer = validated(own, "ENTERED", suggest=True)
    assert answer["suggestion"] == {"codes": ["SHIP", "TEN", "ENTERED", "FIVE"], "discount": 39.9}
    assert validated(own, *answer["suggestion"]["codes"])["totals"]["discount"] == 39.9
    CouponSettings.objects.create(tenant=tenant, max_coupons_per_cart=2)
    assert validated(own, suggest=True)["suggestion"] == {"codes": ["TEN", "FIVE"], "discount": 15}
    assert "suggestion" not in validated(own, "TEN")
    assert validated(anonymous_api, suggest=True)["suggestion"] == {"codes": [], "discount": 0}


@pytest.mark.parametrize("count", [1, 12])
def test_a_suggestion_reads_no_coupon_twice(own, tenant, django_assert_num_queries, count):
    """Besides the validation it takes the customer's segments and their codes."""
    for number in range(count):
        absolute(tenant, f"MINE{number}", 1 + number, is_listed=True)
    absolute(tenant, "ENTERED", 20)
    assert len(validated(own, "ENTERED", suggest=True)["suggestion"]["codes"]) == min(count + 1, 5)
    with django_assert_num_queries(5):
        validated(own, "ENTERED", suggest=True)


def test_five_codes_and_thirty_lines_take_four_statements(
    own, tenant, site, customer, django_assert_num_queries
):
    items = [(f"P{number}", number + 1) for number in range(30)]
    category = CategoryFactory(tenant=tenant)
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=segment, customer=customer)
    for name, _ in items[:20]:
        product = ProductFactory(tenant=tenant, external_id=name)
        CategoryAssignmentFactory(product=product, category=category)
        ItemAssignmentFactory(segment=segment, product=product)
    codes = [f"N{number}" for number in range(5)]
    for number, code in enumerate(codes):
        coupon = CouponFactory(
            tenant=tenant,
            code=code,
            max_redemptions=50,
            max_redemptions_per_customer=5,
            is_segment_restricted=number < 2,
            is_category_restricted=number == 2,
        )
        if number < 2:
            CouponSegmentFactory(coupon=coupon, segment=segment)
        if number == 2:
            CouponCategoryFactory(coupon=coupon, category=category)
    assert refusals(validated(own, *codes, items=items)) == {}
    with django_assert_num_queries(4):
        validated(own, *codes, items=items)
