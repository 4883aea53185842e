from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.identity import scopes
from core.timestamps import format_time
from coupons.models import Coupon, CouponSegment, CouponSettings
from segments.models import Segment
from tests.coupons.conftest import COUPONS, faulty_fields
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import SegmentFactory

SCHEMA = "https://example.com/schemas/coupon_attributes_v1.json"
WINTER = {
    "code": "WINTER-25",
    "name": "Winter sale",
    "description": "24.99 off from 49.99 on",
    "discountType": "ABSOLUTE",
    "discountAbsolute": {"amount": 24.99, "currency": "USD"},
    "allowAnonymous": False,
    "maxRedemptions": -1,
    "maxRedemptionsPerCustomer": -1,
    "categoryRestricted": False,
    "segmentRestricted": False,
    "restrictions": {
        "validFor": ["C1", "C2"],
        "validFrom": "2014-12-01T00:00:00.000Z",
        "validUntil": "2015-01-31T23:59:59.999Z",
        "minOrderValue": {"amount": 49.99, "currency": "USD"},
    },
    "issuedTo": "C3",
    "mixins": {"attributes": {"provenance": "Winter", "suggestedAmount": 50}},
    "metadata": {"mixins": {"attributes": SCHEMA}},
}
SHOWN = {
    **WINTER,
    "discountCalculationType": "SUBTOTAL",
    "status": "EXPIRED",
    "redemptionCount": 0,
    "deleted": False,
    "metadata": {"version": 0, "mixins": {"attributes": SCHEMA}},
}
HOUR = timedelta(hours=1)
TEN = {"name": "Ten", "discountType": "PERCENT", "discountPercentage": 10}


def test_coupon_is_created_and_read_as_it_was_written(manager):
    answer = manager.post(COUPONS, WINTER)
    assert (answer.status_code, answer.json()) == (201, {"id": "WINTER-25"})
    answer = manager.get(f"{COUPONS}/winter-25")
    assert (answer.status_code, answer.json()) == (200, SHOWN)


def test_segment_restricted_coupon_shows_its_segments_in_the_order_named(manager, site):
    for segment in ("b", "a"):
        SegmentFactory(site=site, external_id=segment)
    body = {**TEN, "code": "S", "segmentRestricted": True, "restrictions": {"segments": ["b", "a"]}}
    assert manager.post(COUPONS, body).status_code == 201
    assert manager.get(f"{COUPONS}/S").json()["restrictions"] == {"validFor": [], "segments": ["b", "a"]}
    body["restrictions"] = {"segments": ["a", "b"]}
    assert manager.put(f"{COUPONS}/S", body).status_code == 200
    assert manager.get(f"{COUPONS}/S").json()["restrictions"]["segments"] == ["a", "b"]


def test_category_restricted_coupon_shows_its_categories(manager, tenant):
    for category in ("in", "out"):
        CategoryFactory(tenant=tenant, external_id=category)
    restrictions = {"includedCategories": ["in"], "excludedCategories": ["out"]}
    body = {**TEN, "code": "K", "categoryRestricted": True, "restrictions": restrictions}
    assert manager.post(COUPONS, body).status_code == 201
    assert manager.get(f"{COUPONS}/K").json()["restrictions"] == {"validFor": [], **restrictions}


def test_least_that_a_coupon_needs(manager):
    answer = manager.post(COUPONS, {"code": " ten ", "name": "Ten", "discountAbsolute": {"amount": 5}})
    assert answer.json() == {"id": "TEN"}
    assert manager.get(f"{COUPONS}/TEN").json() == {
        "code": "TEN",
        "name": "Ten",
        "discountType": "ABSOLUTE",
        "discountAbsolute": {"amount": 5, "currency": "USD"},
        "discountCalculationType": "SUBTOTAL",
        "allowAnonymous": False,
        "maxRedemptions": -1,
        "maxRedemptionsPerCustomer": -1,
        "categoryRestricted": False,
        "segmentRestricted": False,
        "restrictions": {"validFor": []},
        "status": "VALID",
        "redemptionCount": 0,
        "deleted": False,
        "metadata": {"version": 0},
    }


def test_code_is_generated_out_of_characters_that_nobody_confuses(manager):
    codes = {manager.post(COUPONS, TEN).json()["id"] for _ in range(5)}
    assert len(codes) == 5
    for code in codes:
        assert len(code) == 10
        assert not set(code) & set("01OIL")


def test_null_counts_as_absent(manager):
    nulls = dict.fromkeys(["code", "description", "discountAbsolute", "maxRedemptions", "restrictions"])
    assert manager.post(COUPONS, {**TEN, **nulls, "mixins": {"a": None}}).status_code == 201
    assert Coupon.objects.get().mixins == {"a": None}


def test_read_only_members_are_ignored(manager):
    body = {
        **TEN,
        "code": "R",
        "status": "USED",
        "deleted": True,
        "redemptionCount": 9,
        "referralCoupon": True,
    }
    assert manager.post(COUPONS, body).status_code == 201
    coupon = Coupon.objects.get()
    assert (coupon.is_deleted, coupon.redemption_count, coupon.is_referral) == (False, 0, False)


def test_empty_texts_in_valid_for_and_issued_to_count_as_absent(manager):
    body = {**TEN, "code": "E", "issuedTo": "", "restrictions": {"validFor": ["", "C1", "C1"]}}
    assert manager.post(COUPONS, body).status_code == 201
    shown = manager.get(f"{COUPONS}/E").json()
    assert "issuedTo" not in shown
    assert shown["restrictions"] == {"validFor": ["C1"]}


def test_taken_code_is_409_even_when_its_coupon_is_deleted(manager, tenant):
    CouponFactory(tenant=tenant, code="TAKEN", is_deleted=True)
    answer = manager.post(COUPONS, {**TEN, "code": "taken"})
    assert (answer.status_code, answer.json()) == (
        409,
        {"status": 409, "type": "conflict_resource", "message": "The code TAKEN is taken."},
    )
    assert Coupon.objects.count() == 1


def test_case_counts_where_the_tenant_wants_it(manager, tenant):
    CouponSettings.objects.create(tenant=tenant, codes_are_case_sensitive=True)
    assert manager.post(COUPONS, {**TEN, "code": "abc"}).json() == {"id": "abc"}
    assert manager.post(COUPONS, {**TEN, "code": "ABC"}).json() == {"id": "ABC"}
    assert manager.get(f"{COUPONS}/abc").json()["code"] == "abc"
    assert manager.get(f"{COUPONS}/Abc").status_code == 404


CATEGORIES = {"includedCategories": ["known"]}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"name": None}, ["name"]),
        ({"name": " "}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"name": "x" * 301}, ["name"]),
        ({"discountType": "GIFT"}, ["discountType"]),
        ({"discountCalculationType": "HALF"}, ["discountCalculationType"]),
        ({"discountPercentage": 100.01}, ["discountPercentage"]),
        ({"discountPercentage": -1}, ["discountPercentage"]),
        ({"discountPercentage": "10"}, ["discountPercentage"]),
        ({"discountPercentage": None}, ["discountPercentage"]),
        ({"discountType": "ABSOLUTE"}, ["discountAbsolute"]),
        ({"discountAbsolute": {"amount": -1}}, ["discountAbsolute.amount"]),
        ({"discountAbsolute": {"amount": 1, "currency": "eur"}}, ["discountAbsolute.currency"]),
        ({"discountAbsolute": 5}, ["discountAbsolute"]),
        ({"maxRedemptions": -2}, ["maxRedemptions"]),
        ({"maxRedemptions": 1.5}, ["maxRedemptions"]),
        ({"maxRedemptionsPerCustomer": "1"}, ["maxRedemptionsPerCustomer"]),
        ({"allowAnonymous": "yes"}, ["allowAnonymous"]),
        ({"mixins": []}, ["mixins"]),
        ({"metadata": {"version": "1"}}, ["metadata.version"]),
        ({"metadata": {"mixins": {"a": 5, "b": SCHEMA}}}, ["metadata.mixins.a"]),
        ({"restrictions": {"validFrom": "2024-01-31"}}, ["restrictions.validFrom"]),
        (
            {
                "restrictions": {
                    "validFrom": "2024-02-01T00:00:00.000Z",
                    "validUntil": "2024-01-01T00:00:00.000Z",
                }
            },
            ["restrictions.validUntil"],
        ),
        ({"restrictions": {"validFor": [5]}}, ["restrictions.validFor[0]"]),
        ({"restrictions": {"minOrderValue": {"amount": "5"}}}, ["restrictions.minOrderValue.amount"]),
        ({"segmentRestricted": True}, ["restrictions.segments"]),
        ({"restrictions": {"segments": ["known"]}}, ["restrictions.segments"]),
        (
            {"segmentRestricted": True, "restrictions": {"segments": ["known", "nowhere"]}},
            ["restrictions.segments"],
        ),
        (
            {"segmentRestricted": True, "restrictions": {"segments": ["known"], "validFor": ["C1"]}},
            ["restrictions.validFor"],
        ),
        (
            {"segmentRestricted": True, "allowAnonymous": True, "restrictions": {"segments": ["known"]}},
            ["allowAnonymous"],
        ),
        (
            {
                "segmentRestricted": True,
                "categoryRestricted": True,
                "restrictions": {"segments": ["known"], **CATEGORIES},
            },
            ["categoryRestricted"],
        ),
        ({"categoryRestricted": True}, ["restrictions.includedCategories"]),
        ({"restrictions": CATEGORIES}, ["restrictions.includedCategories"]),
        ({"restrictions": {"excludedCategories": ["known"]}}, ["restrictions.excludedCategories"]),
        (
            {"categoryRestricted": True, "restrictions": {"includedCategories": ["nowhere"]}},
            ["restrictions.includedCategories"],
        ),
        (
            {"categoryRestricted": True, "restrictions": {**CATEGORIES, "excludedCategories": ["known"]}},
            ["restrictions.excludedCategories"],
        ),
        (
            {"discountType": "FREE_SHIPPING", "categoryRestricted": True, "restrictions": CATEGORIES},
            ["categoryRestricted"],
        ),
        ({"allowAnonymous": True, "maxRedemptionsPerCustomer": 1}, ["maxRedemptionsPerCustomer"]),
        ({"allowAnonymous": True, "restrictions": {"validFor": ["C1"]}}, ["restrictions.validFor"]),
        ({"code": "a/b"}, ["code"]),
        ({"code": "x" * 129}, ["code"]),
        (
            {"name": 5, "maxRedemptions": "x", "restrictions": {"validFor": 1}},
            ["name", "maxRedemptions", "restrictions.validFor"],
        ),
    ],
)
def test_broken_rule_is_refused_naming_the_field(manager, site, change, fields):
    SegmentFactory(site=site, external_id="known")
    CategoryFactory(tenant=site.tenant, external_id="known")
    answer = manager.post(COUPONS, {**TEN, "code": "BAD", **change})
    assert sorted(faulty_fields(answer)) == sorted(fields)
    assert Coupon.objects.count() == 0


def test_number_beyond_all_bounds_is_400(manager):
    body = '{"name": "A", "discountAbsolute": {"amount": 1e400, "currency": "EUR"}}'
    assert manager.post(COUPONS, body).status_code == 400
    assert manager.post(COUPONS, body.replace("1e400", "1e300")).json()["details"] == [
        {
            "field": "discountAbsolute.amount",
            "type": "invalid_input",
            "message": "discountAbsolute.amount must be between 0 and 1000000000000.",
        }
    ]


def test_change_without_a_body_is_400_and_changes_nothing(manager, tenant):
    CouponFactory(tenant=tenant, code="A")
    for method, query in (("patch", {}), ("put", {}), ("put", {"partial": "true"})):
        answer = manager.send(method, f"{COUPONS}/A", **query)
        assert (answer.status_code, answer.json()["details"]) == (
            400,
            [{"type": "missing_payload", "message": "The request has no body."}],
        )
    assert Coupon.objects.get().version == 0


@pytest.mark.parametrize("body", [[], "text", None])
def test_body_that_is_no_object_is_refused(manager, body):
    assert manager.post(COUPONS, body).status_code == 400


def test_window_in_the_past_and_fields_of_another_kind_are_allowed(manager):
    body = {
        **TEN,
        "code": "OLD",
        "discountAbsolute": {"amount": 5, "currency": "EUR"},
        "restrictions": {"validUntil": "2000-01-01T00:00:00.000Z"},
    }
    assert manager.post(COUPONS, body).status_code == 201
    shown = manager.get(f"{COUPONS}/OLD").json()
    assert (shown["status"], shown["discountAbsolute"]) == ("EXPIRED", {"amount": 5, "currency": "EUR"})


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, "VALID"),
        ({"valid_from": HOUR}, "INACTIVE"),
        ({"valid_from": HOUR, "max_redemptions": 0}, "INACTIVE"),
        ({"valid_from": -HOUR, "valid_to": HOUR}, "VALID"),
        ({"valid_to": -HOUR}, "EXPIRED"),
        ({"max_redemptions": 2, "redemption_count": 1}, "VALID"),
        ({"max_redemptions": 2, "redemption_count": 2}, "USED"),
        ({"max_redemptions": 2, "redemption_count": 3}, "USED"),
    ],
)
def test_status_is_derived(manager, tenant, now, values, status):
    values = {name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}
    CouponFactory(tenant=tenant, code="A", **values)
    assert manager.get(f"{COUPONS}/A").json()["status"] == status
    assert [coupon["code"] for coupon in manager.get(COUPONS, q=f"status:{status}").json()] == ["A"]


def test_uses_of_legal_entities_are_shown(manager, tenant):
    coupon = CouponFactory(tenant=tenant, code="A", redemption_count=4)
    for legal_entity in ("L2", "L1", "L2", ""):
        RedemptionFactory(coupon=coupon, customer_number="C1", legal_entity_id=legal_entity)
    assert manager.get(f"{COUPONS}/A").json()["legalEntityRedemptions"] == [
        {"legalEntityId": "L1", "count": 1},
        {"legalEntityId": "L2", "count": 2},
    ]


def test_list_has_pages_of_16_and_counts_on_demand(manager, tenant):
    for number in range(18):
        CouponFactory(tenant=tenant, code=f"C{number:02}")
    CouponFactory(tenant=tenant, code="GONE", is_deleted=True)
    answer = manager.get(COUPONS)
    assert [coupon["code"] for coupon in answer.json()] == [f"C{number:02}" for number in range(16)]
    assert "Items-Count" not in answer
    answer = manager.get(COUPONS, totalCount="true", pageNumber=2)
    assert [coupon["code"] for coupon in answer.json()] == ["C16", "C17"]
    assert answer["Items-Count"] == "18"
    answer = manager.get(COUPONS, totalCount="true", showDeleted="true", sort="code:desc", pageSize=1)
    assert [(coupon["code"], coupon["deleted"]) for coupon in answer.json()] == [("GONE", True)]
    assert answer["Items-Count"] == "19"


def test_list_is_searched_by_the_fields_of_the_answer(manager, tenant, site):
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True, mixins={"season": "winter"})
    CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=site, external_id="vip"))
    RedemptionFactory(coupon=coupon, customer_number="C1", legal_entity_id="L1")
    CouponFactory(tenant=tenant, code="B", valid_for=["C1"], discount_percentage=Decimal("33.5"))
    for q, codes in {
        "code:A": ["A"],
        "name:~upon": ["A", "B"],
        "discountPercentage:>30": ["B"],
        "discountPercentage:~^33[.]5$": ["B"],
        "legalEntityRedemptions.legalEntityId:L1": ["A"],
        "legalEntityRedemptions.count:>1": [],
        "legalEntityRedemptions:missing": ["B"],
        "restrictions.segments:vip": ["A"],
        "restrictions.validFor:C1": ["B"],
        "mixins.season:winter": ["A"],
        "maxRedemptions:-1 metadata.version:0": ["A", "B"],
    }.items():
        assert [found["code"] for found in manager.get(COUPONS, q=q).json()] == codes, q
    assert faulty_fields(manager.get(COUPONS, q="colour:red")) == ["q"]
    assert faulty_fields(manager.get(COUPONS, sort="colour")) == ["sort"]


@pytest.mark.parametrize(
    ("sort", "said"),
    [
        ("discountAbsolute", "An object cannot be sorted by"),
        ("discountAbsolute.colour", "There is no field colour to sort by"),
    ],
)
def test_an_object_is_sorted_by_one_of_its_fields(manager, sort, said):
    refused = manager.get(COUPONS, sort=sort)
    assert refused.status_code == 400
    assert f"{said}; choose one of its fields: amount, currency." in refused.json()["message"]


@pytest.mark.parametrize("coupons", [1, 20])
def test_list_takes_one_statement(manager, tenant, site, coupons, django_assert_num_queries):
    segment = SegmentFactory(site=site)
    for _ in range(coupons):
        coupon = CouponFactory(tenant=tenant, is_segment_restricted=True)
        CouponSegmentFactory(coupon=coupon, segment=segment)
    manager.get(COUPONS)
    with django_assert_num_queries(1):
        assert len(manager.get(COUPONS, pageSize=20).json()) == coupons


def test_coupons_of_other_tenants_do_not_exist(manager, other_tenant):
    CouponFactory(tenant=other_tenant, code="A")
    assert manager.get(COUPONS).json() == []
    for method, body in (("get", None), ("put", TEN), ("patch", {"name": "x"}), ("delete", None)):
        answer = manager.send(method, f"{COUPONS}/A", body)
        assert (answer.status_code, answer.json()) == (
            404,
            {
                "status": 404,
                "type": "resource_not_found",
                "message": "There is no coupon with the code A.",
            },
        )
    assert Coupon.objects.get().version == 0


def test_replacing_changes_everything_and_keeps_the_use(manager, tenant):
    CouponFactory(tenant=tenant, code="A", description="old", valid_for=["C1"], redemption_count=3)
    answer = manager.put(f"{COUPONS}/A", {**TEN, "code": "IGNORED", "metadata": {"version": 0}})
    assert (answer.status_code, answer.content) == (200, b"")
    shown = manager.get(f"{COUPONS}/A").json()
    assert (shown["name"], shown["metadata"], shown["redemptionCount"]) == ("Ten", {"version": 1}, 3)
    assert "description" not in shown
    assert shown["restrictions"] == {"validFor": []}


@pytest.mark.parametrize(("method", "query"), [("patch", {}), ("put", {"partial": "true"})])
def test_patch_changes_only_what_it_names(manager, method, query):
    manager.post(COUPONS, WINTER)
    change = {
        "name": "Better",
        "maxRedemptions": 7,
        "restrictions": {"validUntil": None, "validFor": []},
        "issuedTo": None,
        "status": "VALID",
    }
    answer = manager.send(method, f"{COUPONS}/WINTER-25", change, **query)
    assert (answer.status_code, answer.content) == (200, b"")
    assert manager.get(f"{COUPONS}/WINTER-25").json() == {
        **{name: value for name, value in SHOWN.items() if name != "issuedTo"},
        "name": "Better",
        "maxRedemptions": 7,
        "status": "VALID",
        "restrictions": {
            "validFor": [],
            "validFrom": "2014-12-01T00:00:00.000Z",
            "minOrderValue": {"amount": 49.99, "currency": "USD"},
        },
        "metadata": {"version": 1, "mixins": {"attributes": SCHEMA}},
    }


def test_patch_takes_operations_too(manager):
    manager.post(COUPONS, WINTER)
    change = [
        {"op": "replace", "path": "/name", "value": "Better"},
        {"op": "add", "path": "/restrictions/validFor/-", "value": "C9"},
        {"op": "remove", "path": "/restrictions/minOrderValue"},
    ]
    assert manager.patch(f"{COUPONS}/WINTER-25", change).status_code == 200
    shown = manager.get(f"{COUPONS}/WINTER-25").json()
    assert (shown["name"], shown["restrictions"]["validFor"]) == ("Better", ["C1", "C2", "C9"])
    assert "minOrderValue" not in shown["restrictions"]


def test_patch_obeys_the_rules(manager):
    manager.post(COUPONS, WINTER)
    assert faulty_fields(manager.patch(f"{COUPONS}/WINTER-25", {"allowAnonymous": True})) == [
        "restrictions.validFor"
    ]
    assert Coupon.objects.get().version == 0


@pytest.mark.parametrize("method", ["put", "patch"])
def test_older_version_is_409_and_changes_nothing(manager, tenant, method):
    CouponFactory(tenant=tenant, code="A", version=2)
    answer = manager.send(method, f"{COUPONS}/A", {**TEN, "metadata": {"version": 1}})
    assert (answer.status_code, answer.json()["type"]) == (409, "conflict_resource")
    assert list(Coupon.objects.values_list("name", "version")) == [("Coupon A", 2)]


def test_coupon_of_a_deleted_segment_can_still_be_changed(manager, tenant, site):
    coupon = CouponFactory(tenant=tenant, code="A", is_segment_restricted=True)
    segment = SegmentFactory(site=site, external_id="gone")
    CouponSegmentFactory(coupon=coupon, segment=segment)
    Segment.objects.filter(pk=segment.pk).delete()
    assert manager.patch(f"{COUPONS}/A", {"name": "Still here"}).status_code == 200
    assert manager.get(f"{COUPONS}/A").json()["restrictions"]["segments"] == ["gone"]
    assert list(CouponSegment.objects.values_list("segment", flat=True)) == [None]


def test_deleting_is_soft(manager, tenant):
    coupon = CouponFactory(tenant=tenant, code="A")
    RedemptionFactory(coupon=coupon, external_id="R1")
    answer = manager.delete(f"{COUPONS}/A")
    assert (answer.status_code, answer.content) == (204, b"")
    assert manager.get(f"{COUPONS}/A").status_code == 404
    assert manager.delete(f"{COUPONS}/A").status_code == 404
    assert manager.patch(f"{COUPONS}/A", {"name": "x"}).status_code == 404
    shown = manager.get(f"{COUPONS}/A", showDeleted="true").json()
    assert (shown["deleted"], shown["metadata"]) == (True, {"version": 1})
    assert [found["id"] for found in manager.get(f"{COUPONS}/A/redemptions").json()] == ["R1"]


def test_customer_sees_a_coupon_without_what_is_the_sellers_business(customer_api, tenant, now):
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    CouponFactory(
        tenant=tenant,
        code="A",
        valid_for=["C1", "C2"],
        issued_to="C3",
        max_redemptions=9,
        valid_to=now + HOUR,
    )
    assert customer_api(customer).get(f"{COUPONS}/a").json() == {
        "code": "A",
        "name": "Coupon A",
        "discountType": "PERCENT",
        "discountPercentage": 10,
        "discountCalculationType": "SUBTOTAL",
        "allowAnonymous": False,
        "maxRedemptionsPerCustomer": -1,
        "categoryRestricted": False,
        "segmentRestricted": False,
        "status": "VALID",
        "restrictions": {"validUntil": format_time(now + HOUR)},
        "metadata": {"version": 0},
    }


def test_coupon_for_other_customers_does_not_exist_for_a_customer(customer_api, shop, tenant):
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    CouponFactory(tenant=tenant, code="A", valid_for=["C2"])
    CouponFactory(tenant=tenant, code="GONE", is_deleted=True)
    own = customer_api(customer)
    assert own.get(f"{COUPONS}/A").status_code == 404
    assert own.get(f"{COUPONS}/GONE", showDeleted="true").status_code == 404
    assert own.get(f"{COUPONS}/A", customerNumber="C2").status_code == 403
    assert shop.get(f"{COUPONS}/A").status_code == 404
    assert shop.get(f"{COUPONS}/A", customerNumber="C2").json()["code"] == "A"


def test_reading_for_another_customer_needs_the_scope(manager, service_api, tenant):
    CouponFactory(tenant=tenant, code="A", valid_for=["C2"])
    assert manager.get(f"{COUPONS}/A", customerNumber="C2").json() == {
        "status": 403,
        "type": "insufficient_permissions",
        "message": "The token lacks the scope coupon.coupon_redeem_on_behalf.",
    }
    both = service_api(scopes.COUPON_READ, scopes.COUPON_REDEEM_ON_BEHALF)
    assert both.get(f"{COUPONS}/A", customerNumber="C2").json()["restrictions"] == {"validFor": ["C2"]}
    assert both.get(f"{COUPONS}/A", customerNumber="C1").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("get", COUPONS, None, {scopes.COUPON_READ, scopes.COUPON_MANAGE}),
        ("post", COUPONS, TEN, {scopes.COUPON_MANAGE}),
        (
            "get",
            f"{COUPONS}/A",
            None,
            {
                scopes.COUPON_READ,
                scopes.COUPON_MANAGE,
                scopes.COUPON_REDEEM,
                scopes.COUPON_REDEEM_ON_BEHALF,
            },
        ),
        ("put", f"{COUPONS}/A", TEN, {scopes.COUPON_MANAGE}),
        ("patch", f"{COUPONS}/A", {}, {scopes.COUPON_MANAGE}),
        ("delete", f"{COUPONS}/A", None, {scopes.COUPON_MANAGE}),
    ],
)
def test_each_operation_takes_only_its_scopes(service_api, tenant, method, path, body, allowed):
    CouponFactory(tenant=tenant, code="A")
    every = {
        scopes.COUPON_READ,
        scopes.COUPON_MANAGE,
        scopes.COUPON_REDEEM,
        scopes.COUPON_REDEEM_ON_BEHALF,
        scopes.SEGMENT_MANAGE,
    }
    for scope in sorted(every - allowed):
        assert service_api(scope).send(method, path, body).status_code == 403, scope
    assert Coupon.objects.get().version == 0
    assert service_api(sorted(allowed)[0]).send(method, path, body).status_code in (200, 201, 204)
