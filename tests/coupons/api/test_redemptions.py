from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.identity import scopes
from core.observation.metrics import REGISTRY
from core.timestamps import format_time
from coupons.models import Coupon, Redemption
from segments.models import Segment
from tests.coupons.conftest import COUPONS, euros, faulty_fields, order, reasons
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import (
    CouponCategoryFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
)
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

A = f"{COUPONS}/A"
REFUSALS = "segments_coupon_refusals_total"


@pytest.fixture
def own(customer_api, customer):
    """The customer's own session."""
    return customer_api(customer)


def restrict_to_segment(coupon, site, customer, **values):
    segment = SegmentFactory(site=site, **values)
    CouponSegmentFactory(coupon=coupon, segment=segment)
    CustomerAssignmentFactory(segment=segment, customer=customer)
    return segment


def both(api, path, body):
    """The answers of a validation and of a redemption, which must agree."""
    validation = api.post(f"{path}/validation", body)
    redemption = api.post(f"{path}/redemptions", body)
    if validation.status_code != 200:
        assert (redemption.status_code, redemption.json()) == (validation.status_code, validation.json())
    else:
        assert redemption.status_code == 201
    return validation


def test_customer_validates_and_redeems(own, manager, tenant, now):
    CouponFactory(tenant=tenant, code="A")
    answer = own.post(f"{COUPONS}/ a /validation", order(customerNumber="C1"))
    assert (answer.status_code, answer.json()) == (200, {"eligibleAmount": 100, "discount": 10})
    assert answer["Content-Type"] == "application/json"
    assert Redemption.objects.count() == 0
    answer = own.post(f"{COUPONS}/a/redemptions", order(total=299.3, discount=29.93, orderCode="O1"))
    redemption = Redemption.objects.get()
    assert (answer.status_code, answer.json()) == (201, {"id": redemption.external_id})
    shown = {
        "id": redemption.external_id,
        "code": "A",
        "orderCode": "O1",
        "customerNumber": "C1",
        "orderTotal": {"amount": 299.3, "currency": "EUR"},
        "discount": {"amount": 29.93, "currency": "EUR"},
        "redeemedAt": format_time(redemption.redeemed_at),
    }
    assert abs(redemption.redeemed_at - now) < timedelta(minutes=1)
    path = f"{A}/redemptions/{redemption.external_id}"
    for api in (own, manager):
        answer = api.get(path)
        assert (answer.status_code, answer.json()) == (200, shown)
    assert manager.get(f"{A}/redemptions").json() == [shown]
    assert Coupon.objects.get().redemption_count == 1
    assert redemption.customer.external_id == "C1"


def test_service_redeems_for_a_customer_whom_it_names(shop, service_api, tenant, customer):
    CouponFactory(tenant=tenant, code="A")
    assert both(shop, A, order(customerNumber="C1")).status_code == 200
    assert Redemption.objects.get().customer_id == customer.pk
    answer = service_api(scopes.COUPON_REDEEM).post(f"{A}/redemptions", order(customerNumber="C1"))
    assert (answer.status_code, answer.json()["message"]) == (
        403,
        "The token lacks the scope coupon.coupon_redeem_on_behalf.",
    )
    assert Redemption.objects.count() == 1


def test_customer_cannot_redeem_for_another(own, tenant):
    CouponFactory(tenant=tenant, code="A")
    assert both(own, A, order(customerNumber="C2")).status_code == 403


def test_anonymous_use(service_api, tenant):
    CouponFactory(tenant=tenant, code="A")
    CouponFactory(tenant=tenant, code="OPEN", allows_anonymous=True)
    shop = service_api(scopes.COUPON_REDEEM)
    assert reasons(both(shop, A, order())) == ["anonymous_not_allowed"]
    assert both(shop, f"{COUPONS}/OPEN", order()).status_code == 200
    redemption = Redemption.objects.get()
    assert (redemption.customer_id, redemption.customer_number) == (None, "")
    answer = both(shop, f"{COUPONS}/OPEN", order(legalEntityId="L1"))
    assert (answer.status_code, answer.json()["type"]) == (403, "insufficient_permissions")


def test_anonymous_token_is_good_for_coupons_that_allow_anonymous_use(anonymous_api, tenant):
    CouponFactory(tenant=tenant, code="A")
    CouponFactory(tenant=tenant, code="OPEN", allows_anonymous=True)
    assert reasons(both(anonymous_api, A, order())) == ["anonymous_not_allowed"]
    assert both(anonymous_api, f"{COUPONS}/OPEN", order()).status_code == 200
    assert anonymous_api.get(f"{COUPONS}/OPEN").json()["code"] == "OPEN"
    assert anonymous_api.get(A).status_code == 404
    redemption = Redemption.objects.get()
    assert redemption.customer_number == ""
    assert anonymous_api.get(f"{COUPONS}/OPEN/redemptions/{redemption.external_id}").status_code == 404
    assert both(anonymous_api, f"{COUPONS}/OPEN", order(customerNumber="C1")).status_code == 403


def test_unknown_customer_is_not_eligible_but_where_anonymous_use_is_allowed(shop, tenant):
    CouponFactory(tenant=tenant, code="A")
    CouponFactory(tenant=tenant, code="OPEN", allows_anonymous=True)
    assert reasons(both(shop, A, order(customerNumber="nobody"))) == ["customer_not_eligible"]
    assert both(shop, f"{COUPONS}/OPEN", order(customerNumber="nobody")).status_code == 200
    assert list(Redemption.objects.values_list("customer", "customer_number")) == [(None, "nobody")]


@pytest.mark.parametrize(
    ("values", "body", "expected"),
    [
        ({"valid_from": timedelta(hours=1)}, {}, ["coupon_not_started"]),
        ({"valid_to": timedelta(hours=-1)}, {}, ["coupon_expired"]),
        ({"max_redemptions": 3, "redemption_count": 3}, {}, ["coupon_used_up"]),
        ({"max_redemptions_per_customer": 0}, {}, ["customer_limit_reached"]),
        ({"valid_for": ["C2"]}, {}, ["customer_not_eligible"]),
        ({"min_order_amount": 100.01, "min_order_currency": "EUR"}, {}, ["min_order_value_not_reached"]),
        ({"min_order_amount": 1, "min_order_currency": "USD"}, {}, ["currency_mismatch"]),
        (
            {"discount_type": "ABSOLUTE", "discount_amount": 5, "discount_currency": "USD"},
            {"discount": euros(5)},
            ["currency_mismatch"],
        ),
        ({}, {"discount": {"amount": 1, "currency": "USD"}}, ["currency_mismatch"]),
        ({}, {"discount": euros(10.01)}, ["discount_too_high"]),
        (
            {"discount_type": "ABSOLUTE", "discount_amount": 5, "discount_currency": "EUR"},
            {"discount": euros(5.01)},
            ["discount_too_high"],
        ),
        (
            {
                "valid_to": timedelta(hours=-1),
                "max_redemptions": 0,
                "max_redemptions_per_customer": 0,
                "valid_for": ["C2"],
                "min_order_amount": 500,
                "min_order_currency": "EUR",
            },
            {"discount": euros(50)},
            [
                "coupon_expired",
                "coupon_used_up",
                "customer_limit_reached",
                "customer_not_eligible",
                "min_order_value_not_reached",
                "discount_too_high",
            ],
        ),
    ],
)
def test_refusal_lists_every_reason(own, tenant, now, values, body, expected):
    values = {name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}
    CouponFactory(tenant=tenant, code="A", **values)
    stored = Coupon.objects.get().redemption_count
    assert reasons(both(own, A, {**order(), **body})) == expected
    assert (Redemption.objects.count(), Coupon.objects.get().redemption_count) == (0, stored)


def test_refusal_says_what_and_why(own, tenant):
    CouponFactory(tenant=tenant, code="A", min_order_amount=150, min_order_currency="EUR")
    assert own.post(f"{A}/validation", order()).json() == {
        "status": 400,
        "type": "coupon_not_redeemable",
        "message": "The order's total must be at least 150 EUR.",
        "details": [
            {"type": "min_order_value_not_reached", "message": "The order's total must be at least 150 EUR."}
        ],
    }


@pytest.mark.parametrize(
    "values",
    [
        {"valid_for": ["C1"]},
        {"max_redemptions": 1},
        {"max_redemptions_per_customer": 1},
        {"min_order_amount": 100, "min_order_currency": "EUR"},
        {"min_order_amount": 0, "min_order_currency": "USD"},
        {"discount_type": "ABSOLUTE", "discount_amount": 10, "discount_currency": "EUR"},
        {"discount_type": "FREE_SHIPPING"},
        {"discount_amount": 5, "discount_currency": "USD"},
    ],
)
def test_coupon_at_the_edge_of_its_terms_is_redeemed(own, tenant, values):
    CouponFactory(tenant=tenant, code="A", **values)
    assert both(own, A, order()).status_code == 200
    assert Coupon.objects.get().redemption_count == 1


def test_unknown_and_deleted_codes_are_404(own, tenant, other_tenant):
    CouponFactory(tenant=tenant, code="A", is_deleted=True)
    CouponFactory(tenant=other_tenant, code="B")
    for code in ("A", "B", "C"):
        answer = both(own, f"{COUPONS}/{code}", order())
        assert (answer.status_code, answer.json()["type"]) == (404, "resource_not_found")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["orderTotal", "discount"]),
        ({"orderTotal": 5, "discount": {}}, ["orderTotal"]),
        (
            {"orderTotal": {"amount": -1}, "discount": {"currency": "X"}},
            ["orderTotal.amount", "discount.currency"],
        ),
        (order(customerNumber=5), ["customerNumber"]),
        (order(orderCode="x" * 256), ["orderCode"]),
        (order(items={}), ["items"]),
        (order(items=[1]), ["items[0]"]),
        (order(items=[{"amount": 1}, {"id": "P"}]), ["items[0].id", "items[1].amount"]),
        (order(items=[{"id": "P", "amount": 1}] * 1001), ["items"]),
    ],
)
def test_faulty_body_is_refused_naming_the_fields(own, tenant, body, fields):
    CouponFactory(tenant=tenant, code="A")
    assert faulty_fields(own.post(f"{A}/redemptions", body)) == fields
    assert Redemption.objects.count() == 0


def test_discount_is_required_except_for_a_validation_with_items(own, tenant):
    CouponFactory(tenant=tenant, code="A")
    with_items = {"orderTotal": euros(10), "items": [{"id": "P", "amount": 10}]}
    assert own.post(f"{A}/validation", with_items).status_code == 200
    assert faulty_fields(own.post(f"{A}/redemptions", with_items)) == ["discount"]
    assert faulty_fields(own.post(f"{A}/validation", {"orderTotal": euros(10)})) == ["discount"]


# Segments


def test_member_redeems_and_non_member_does_not(own, customer_api, tenant, site, customer):
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True)
    restrict_to_segment(coupon, site, customer)
    stranger = customer_api(CustomerFactory(tenant=tenant))
    assert both(own, A, order()).status_code == 200
    assert reasons(both(stranger, A, order())) == ["segment_membership_missing"]
    assert Coupon.objects.get().redemption_count == 1


@pytest.mark.parametrize("change", [{"status": "INACTIVE"}, {"valid_to": timedelta(seconds=-1)}])
def test_segment_that_is_not_effective_does_not_count(own, tenant, site, customer, now, change):
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True)
    values = {name: now + value if isinstance(value, timedelta) else value for name, value in change.items()}
    restrict_to_segment(coupon, site, customer, **values)
    assert reasons(both(own, A, order())) == ["segment_membership_missing"]


def test_deleted_segment_opens_a_coupon_for_nobody(own, tenant, site, customer):
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True)
    segment = restrict_to_segment(coupon, site, customer)
    Segment.objects.filter(pk=segment.pk).delete()
    assert reasons(both(own, A, order())) == ["segment_membership_missing"]


def test_membership_for_a_legal_entity_counts_when_acting_for_it(customer_api, tenant, site, customer):
    first, second = LegalEntityFactory(tenant=tenant), LegalEntityFactory(tenant=tenant)
    for entity in (first, second):
        ContactAssignmentFactory(customer=customer, legal_entity=entity)
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True)
    segment = SegmentFactory(site=site)
    CouponSegmentFactory(coupon=coupon, segment=segment)
    CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=first)
    own = customer_api(customer)
    assert reasons(both(own, A, order())) == ["segment_membership_missing"]
    assert reasons(both(own, A, order(legalEntityId=second.external_id))) == ["segment_membership_missing"]
    assert both(own, A, order(legalEntityId=first.external_id)).status_code == 200
    assert both(customer_api(customer, legal_entity=first), A, order()).status_code == 200
    answer = both(customer_api(customer, legal_entity=first), A, order(legalEntityId=second.external_id))
    assert answer.status_code == 403
    assert both(own, A, order(legalEntityId="elsewhere")).status_code == 403
    assert set(Redemption.objects.values_list("legal_entity_id", flat=True)) == {first.external_id}


# Items


def test_percentage_of_the_items_of_the_own_segment(own, tenant, site, customer):
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True, discount_percentage=15)
    segment = restrict_to_segment(coupon, site, customer)
    elsewhere = SegmentFactory(site=site)
    CouponSegmentFactory(coupon=coupon, segment=elsewhere)
    for name, holder in (("P1", segment), ("P2", elsewhere)):
        product = ProductFactory(tenant=tenant, external_id=name)
        ItemAssignmentFactory(segment=holder, product=product)
    ProductFactory(tenant=tenant, external_id="P3")
    items = [
        {"id": "P3", "amount": 50, "quantity": 2},
        {"id": "P1", "amount": 10.03, "quantity": 1},
        {"id": "P2", "amount": 30},
        {"id": "P1", "amount": 0.1},
        {"id": "unknown", "amount": 5},
    ]
    answer = own.post(f"{A}/validation", {"orderTotal": euros(95.13), "items": items})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "eligibleItems": [{"id": "P1", "amount": 10.03}, {"id": "P1", "amount": 0.1}],
            "eligibleAmount": 10.13,
            "discount": 1.52,
        },
    )
    assert b'"eligibleAmount":10.13,"discount":1.52' in answer.content
    assert reasons(both(own, A, order(95.13, 1.53, items=items))) == ["discount_too_high"]
    assert both(own, A, order(95.13, 1.52, items=items)).status_code == 200


def test_coupon_that_applies_to_no_item_is_refused(own, tenant, site, customer):
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True)
    restrict_to_segment(coupon, site, customer)
    ProductFactory(tenant=tenant, external_id="P1")
    items = [{"id": "P1", "amount": 100}]
    assert reasons(both(own, A, order(discount=0, items=items))) == ["no_eligible_item"]
    assert reasons(both(own, A, order(discount=0, items=[]))) == ["no_eligible_item"]
    assert both(own, A, order(discount=10)).status_code == 200


def test_category_restriction_reaches_below_and_excludes(own, tenant):
    top = CategoryFactory(tenant=tenant)
    below = CategoryFactory(parent=top)
    sale = CategoryFactory(parent=below)
    other = CategoryFactory(tenant=tenant)
    for name, categories in {
        "top": [top],
        "below": [below],
        "sale": [sale],
        "both": [below, sale],
        "other": [other],
        "none": [],
    }.items():
        product = ProductFactory(tenant=tenant, external_id=name)
        for category in categories:
            CategoryAssignmentFactory(product=product, category=category)
    for code, rows in {"IN": [(top, False), (sale, True)], "OUT": [(sale, True)]}.items():
        coupon = CouponFactory(tenant=tenant, code=code, is_category_restricted=True)
        for category, is_excluded in rows:
            CouponCategoryFactory(coupon=coupon, category=category, is_excluded=is_excluded)
    items = [
        {"id": name, "amount": 10} for name in ("top", "below", "sale", "both", "other", "none", "unknown")
    ]
    body = {"orderTotal": euros(70), "items": items}

    def eligible(code):
        answer = own.post(f"{COUPONS}/{code}/validation", body).json()
        return [item["id"] for item in answer["eligibleItems"]], answer["discount"]

    assert eligible("IN") == (["top", "below"], 2)
    assert eligible("OUT") == (["top", "below", "other", "none"], 4)


@pytest.mark.parametrize(
    ("values", "total", "items", "eligible", "discount"),
    [
        ({"discount_percentage": Decimal("33.333")}, "EUR", [0.01, 0.02], 0.03, 0.01),
        ({"discount_percentage": 50}, "EUR", [0.01], 0.01, 0.01),
        ({"discount_percentage": 50}, "JPY", [101], 101, 51),
        ({"discount_percentage": 10}, "KWD", [1.005], 1.005, 0.101),
        ({"discount_percentage": 0}, "EUR", [5], 5, 0),
        ({"discount_percentage": 100}, "EUR", [19.99, 0.01], 20, 20),
        ({"discount_type": "ABSOLUTE", "discount_amount": 5, "discount_currency": "EUR"}, "EUR", [7], 7, 5),
        ({"discount_type": "ABSOLUTE", "discount_amount": 5, "discount_currency": "EUR"}, "EUR", [3], 3, 3),
        ({"discount_type": "FREE_SHIPPING"}, "EUR", [3], 3, 0),
    ],
)
def test_discount_is_rounded_half_up_to_the_minor_unit(own, tenant, values, total, items, eligible, discount):
    CouponFactory(tenant=tenant, code="A", **values)
    rows = [{"id": f"P{index}", "amount": amount} for index, amount in enumerate(items)]
    body = {"orderTotal": {"amount": 1000, "currency": total}, "items": rows}
    answer = own.post(f"{A}/validation", body).json()
    assert answer == {
        "eligibleItems": rows,
        "eligibleAmount": eligible,
        "discount": discount,
    }


# Counting


def test_limit_counts_for_each_customer_and_legal_entity(shop, tenant, customer):
    CustomerFactory(tenant=tenant, external_id="C2")
    entities = [LegalEntityFactory(tenant=tenant, external_id=name) for name in ("L1", "L2")]
    for entity in entities:
        ContactAssignmentFactory(customer=customer, legal_entity=entity)
    CouponFactory(tenant=tenant, code="A", max_redemptions_per_customer=1)

    def redeem(customer_number, legal_entity=None):
        return shop.post(
            f"{A}/redemptions", order(customerNumber=customer_number, legalEntityId=legal_entity)
        )

    for buyer in ("C1", None), ("C1", "L1"), ("C1", "L2"), ("C2", None):
        assert redeem(*buyer).status_code == 201
    assert reasons(redeem("C1")) == ["customer_limit_reached"]
    assert reasons(redeem("C1", "L1")) == ["legal_entity_limit_reached"]
    assert reasons(redeem("C2")) == ["customer_limit_reached"]
    assert Coupon.objects.get().redemption_count == 4


def test_only_legal_entity_of_a_customer_is_acted_for(own, tenant, customer):
    entity = LegalEntityFactory(tenant=tenant, external_id="L1")
    ContactAssignmentFactory(customer=customer, legal_entity=entity)
    CouponFactory(tenant=tenant, code="A", max_redemptions_per_customer=1)
    assert own.post(f"{A}/redemptions", order()).status_code == 201
    assert reasons(own.post(f"{A}/redemptions", order())) == ["legal_entity_limit_reached"]
    assert Redemption.objects.get().legal_entity_id == "L1"


def test_repeated_order_code_returns_the_first_redemption(own, tenant):
    CouponFactory(tenant=tenant, code="A", max_redemptions=1)
    first = own.post(f"{A}/redemptions", order(orderCode="O1"))
    again = own.post(f"{A}/redemptions", order(orderCode="O1"))
    assert (again.status_code, again.json()) == (201, first.json())
    assert Coupon.objects.get().redemption_count == 1
    assert reasons(own.post(f"{A}/redemptions", order(orderCode="O2"))) == ["coupon_used_up"]


def test_repeated_idempotency_key_returns_the_first_redemption(own, shop, tenant, manager):
    CustomerFactory(tenant=tenant, external_id="C2")
    CouponFactory(tenant=tenant, code="A")
    key = {"Idempotency-Key": "key-1"}
    first = own.post(f"{A}/redemptions", order(orderCode="O1"), headers=key).json()
    assert own.post(f"{A}/redemptions", order(orderCode="O2"), headers=key).json() == first
    assert shop.post(f"{A}/redemptions", order(customerNumber="C2"), headers=key).json() != first
    assert own.post(f"{A}/redemptions", order(), headers={"Idempotency-Key": "key-2"}).json() != first
    assert Coupon.objects.get().redemption_count == 3
    manager.delete(A)
    assert own.post(f"{A}/redemptions", order(), headers=key).json() == first
    assert own.post(f"{A}/redemptions", order()).status_code == 404


def test_idempotency_key_is_bounded(own, tenant):
    CouponFactory(tenant=tenant, code="A")
    answer = own.post(f"{A}/redemptions", order(), headers={"Idempotency-Key": "x" * 256})
    assert faulty_fields(answer) == ["Idempotency-Key"]


def test_deleting_a_redemption_gives_its_use_back(own, manager, tenant):
    CouponFactory(tenant=tenant, code="A", max_redemptions=1)
    redemption = own.post(f"{A}/redemptions", order(orderCode="O1")).json()["id"]
    assert reasons(own.post(f"{A}/redemptions", order())) == ["coupon_used_up"]
    answer = manager.delete(f"{A}/redemptions/{redemption}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (Redemption.objects.count(), Coupon.objects.get().redemption_count) == (0, 0)
    answer = manager.delete(f"{A}/redemptions/{redemption}")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "status": 404,
            "type": "resource_not_found",
            "message": f"The coupon has no redemption {redemption}.",
        },
    )
    assert Coupon.objects.get().redemption_count == 0
    assert own.post(f"{A}/redemptions", order(orderCode="O1")).status_code == 201


def test_redemption_belongs_to_its_coupon(manager, tenant, other_tenant):
    coupon = CouponFactory(tenant=tenant, code="A", redemption_count=1)
    CouponFactory(tenant=tenant, code="B")
    RedemptionFactory(coupon=coupon, external_id="R1")
    RedemptionFactory(coupon=CouponFactory(tenant=other_tenant, code="A"), external_id="R2")
    for path in (f"{COUPONS}/B/redemptions/R1", f"{A}/redemptions/R2", f"{COUPONS}/X/redemptions/R1"):
        assert manager.get(path).status_code == 404
        assert manager.delete(path).status_code == 404
    assert manager.get(f"{COUPONS}/X/redemptions").status_code == 404
    assert Redemption.objects.count() == 2


def test_redemptions_are_read_only_by_their_customer(own, shop, service_api, manager, tenant):
    coupon = CouponFactory(tenant=tenant, code="A")
    RedemptionFactory(coupon=coupon, external_id="mine", customer_number="C1")
    RedemptionFactory(coupon=coupon, external_id="other", customer_number="C2")
    RedemptionFactory(coupon=coupon, external_id="nobody")

    def statuses(api, **query):
        return [
            api.get(f"{A}/redemptions/{name}", **query).status_code for name in ("mine", "other", "nobody")
        ]

    assert statuses(own) == [200, 404, 404]
    assert statuses(own, customerNumber="C1") == [200, 404, 404]
    assert statuses(own, customerNumber="C2") == [403, 403, 403]
    assert statuses(shop) == [404, 404, 404]
    assert statuses(shop, customerNumber="C2") == [404, 200, 404]
    assert statuses(service_api(scopes.COUPON_REDEEM)) == [404, 404, 404]
    assert statuses(manager) == [200, 200, 200]
    assert statuses(manager, customerNumber="C2") == [403, 403, 403]


def test_list_of_redemptions_is_searched_and_counted(manager, tenant):
    coupon = CouponFactory(tenant=tenant, code="A")
    for number in range(18):
        RedemptionFactory(
            coupon=coupon,
            external_id=f"R{number:02}",
            customer_number=f"C{number % 2}",
            order_total_amount=number,
        )
    path = f"{A}/redemptions"
    assert len(manager.get(path).json()) == 16
    answer = manager.get(path, q="customerNumber:C1 orderTotal.amount:>10", totalCount="true")
    assert [row["id"] for row in answer.json()] == ["R11", "R13", "R15", "R17"]
    assert answer["Items-Count"] == "4"
    assert manager.get(path, sort="orderTotal.amount:desc", pageSize=1).json()[0]["id"] == "R17"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        (
            "post",
            f"{A}/validation",
            {scopes.COUPON_REDEEM, scopes.COUPON_REDEEM_ON_BEHALF, scopes.COUPON_MANAGE},
        ),
        ("post", f"{A}/redemptions", {scopes.COUPON_REDEEM, scopes.COUPON_REDEEM_ON_BEHALF}),
        ("get", f"{A}/redemptions", {scopes.COUPON_MANAGE}),
        (
            "get",
            f"{A}/redemptions/R1",
            {scopes.COUPON_MANAGE, scopes.COUPON_REDEEM, scopes.COUPON_REDEEM_ON_BEHALF},
        ),
        ("delete", f"{A}/redemptions/R1", {scopes.COUPON_MANAGE}),
    ],
)
def test_each_operation_takes_only_its_scopes(service_api, tenant, method, path, allowed):
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    for scope in (
        scopes.COUPON_READ,
        scopes.COUPON_MANAGE,
        scopes.COUPON_REDEEM,
        scopes.COUPON_REDEEM_ON_BEHALF,
    ):
        status = service_api(scope).send(method, path, order() if method == "post" else None).status_code
        assert (status == 403) == (scope not in allowed), (scope, status)


# As of another instant


def test_validation_as_of_an_instant(service_api, tenant, site, customer, now):
    day = timedelta(days=1)
    coupon = CouponFactory(
        tenant=tenant, code="A", is_segment_restricted=True, valid_from=now + day, valid_to=now + 3 * day
    )
    restrict_to_segment(coupon, site, customer, valid_to=now + 2 * day)
    api = service_api(scopes.COUPON_MANAGE, scopes.COUPON_REDEEM_ON_BEHALF)

    def validate(at):
        return api.post(f"{A}/validation", order(customerNumber="C1"), asOf=format_time(at))

    assert reasons(validate(now)) == ["coupon_not_started"]
    assert validate(now + day).status_code == 200
    assert validate(now + 2 * day).status_code == 200
    assert reasons(validate(now + 3 * day)) == ["segment_membership_missing"]
    assert reasons(validate(now + 4 * day)) == ["coupon_expired", "segment_membership_missing"]


def test_as_of_needs_the_scope_and_an_instant(own, shop, manager, tenant, now):
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    for api in (own, shop):
        answer = api.post(f"{A}/validation", order(), asOf=format_time(now))
        assert (answer.status_code, answer.json()["message"]) == (
            403,
            "The token lacks the scope coupon.coupon_manage.",
        )
    assert manager.post(f"{A}/validation", order(), asOf=format_time(now)).status_code == 200
    assert faulty_fields(manager.post(f"{A}/validation", order(), asOf="2024-01-31")) == ["asOf"]


# Budgets


@pytest.fixture
def hard_coupon(tenant, site, customer):
    """A coupon with every kind of restriction that a segment coupon can have, which the customer meets."""
    coupon = CouponFactory(
        tenant=tenant,
        code="A",
        is_segment_restricted=True,
        max_redemptions=100,
        max_redemptions_per_customer=90,
        min_order_amount=1,
        min_order_currency="EUR",
    )
    segment = restrict_to_segment(coupon, site, customer)
    for number in range(20):
        product = ProductFactory(tenant=tenant, external_id=f"P{number}")
        ItemAssignmentFactory(segment=segment, product=product)
    return coupon


@pytest.mark.parametrize("earlier", [1, 20])
def test_validation_takes_three_statements(own, hard_coupon, earlier, django_assert_num_queries):
    for _ in range(earlier):
        RedemptionFactory(coupon=hard_coupon, customer_number="C1")
    own.post(f"{A}/validation", order())
    # failed attempts, the coupon, the buyer
    with django_assert_num_queries(3):
        assert own.post(f"{A}/validation", order()).status_code == 200


@pytest.mark.parametrize("lines", [1, 20])
def test_validation_of_items_takes_one_statement_more(own, hard_coupon, lines, django_assert_num_queries):
    items = [{"id": f"P{number}", "amount": 5} for number in range(lines)]
    own.post(f"{A}/validation", order())
    with django_assert_num_queries(4):
        answer = own.post(f"{A}/validation", order(discount=0.5, items=items))
    assert len(answer.json()["eligibleItems"]) == lines


@pytest.mark.parametrize("earlier", [1, 20])
def test_redemption_takes_four_statements(own, hard_coupon, earlier, django_assert_num_queries):
    for _ in range(earlier):
        RedemptionFactory(coupon=hard_coupon, customer_number="C1")
    own.post(f"{A}/validation", order())
    # savepoint and release; failed attempts, the coupon, the buyer, the write
    with django_assert_num_queries(6):
        assert own.post(f"{A}/redemptions", order()).status_code == 201


# Caching


def test_answers_of_one_customer_are_private_and_conditional(own, manager, tenant):
    coupon = CouponFactory(tenant=tenant, code="A")
    RedemptionFactory(coupon=coupon, external_id="mine", customer_number="C1")
    for path in (f"{A}/redemptions/mine", A):
        answer = own.get(path)
        assert answer["Cache-Control"] == "private"
        assert answer["Vary"].startswith("Authorization, Accept-Language")
        held = {"If-None-Match": answer["ETag"]}
        again = own.get(path, headers=held)
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", answer["ETag"])
    manager.patch(A, {"name": "Other"})
    assert own.get(A, headers=held).json()["name"] == "Other"


def test_redemptions_are_counted_by_outcome(own, tenant):
    def counted():
        names = ("redeemed", "repeated", "not_redeemable", "unknown_code", "refused")
        found = {
            name: REGISTRY.get_sample_value("segments_coupon_redemptions_total", {"outcome": name}) or 0
            for name in names
        }
        reason = {"reason": "coupon_used_up"}
        return {**found, **reason, "refusals": REGISTRY.get_sample_value(REFUSALS, reason) or 0}

    CouponFactory(tenant=tenant, code="A")
    CouponFactory(tenant=tenant, code="B", max_redemptions=1, redemption_count=1)
    before = counted()
    for _ in range(2):
        assert own.post(f"{A}/redemptions", order(orderCode="O1")).status_code == 201
    assert own.post(f"{COUPONS}/B/redemptions", order()).status_code == 400
    assert own.post(f"{COUPONS}/C/redemptions", order()).status_code == 404
    assert own.post(f"{A}/redemptions", order(customerNumber="C9")).status_code == 403
    after = counted()
    assert {name: after[name] - before[name] for name in after if name != "reason"} == {
        "redeemed": 1,
        "repeated": 1,
        "not_redeemable": 1,
        "unknown_code": 1,
        "refused": 0,  # not even an attempt: the caller may not name another customer
        "refusals": 1,
    }
