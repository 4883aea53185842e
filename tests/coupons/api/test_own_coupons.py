from datetime import timedelta

import pytest

from core.personal_data.pseudonyms import pseudonym_of
from coupons.models import Coupon
from tests.coupons.conftest import COUPONS, order
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.coupons import (
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
    ReservationFactory,
)
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

OWN = "/coupon/acme/me/coupons"


@pytest.fixture
def own(customer_api, customer):
    """The customer's own session."""
    return customer_api(customer)


def codes(api, **query):
    answer = api.get(OWN, **query)
    assert answer.status_code == 200, answer.content
    return [coupon["code"] for coupon in answer.json()]


def listed(tenant, code, **values):
    return CouponFactory(tenant=tenant, code=code, **{"is_listed": True, **values})


def test_soonest_end_first_in_keyset_pages(own, tenant, now):
    for code, days in (("LATE", 9), ("OPEN", None), ("SOON", 1), ("SOON2", 1)):
        listed(tenant, code, valid_to=now + timedelta(days=days) if days else None)
    assert codes(own) == ["SOON", "SOON2", "LATE", "OPEN"]
    answer = own.get(OWN, pageSize="3")
    assert [coupon["code"] for coupon in answer.json()] == ["SOON", "SOON2", "LATE"]
    assert codes(own, pageSize="3", next=answer["X-Next-Cursor"]) == ["OPEN"]


def test_absent_means_listed_for_the_customers_that_it_names(own, tenant):
    CouponFactory(tenant=tenant, code="FOR-ME", valid_for=["C9", "C1"])
    CouponFactory(tenant=tenant, code="FOR-ALL")
    CouponFactory(tenant=tenant, code="HIDDEN", valid_for=["C1"], is_listed=False)
    listed(tenant, "LISTED")
    assert codes(own) == ["FOR-ME", "LISTED"]


def test_what_names_somebody_else_is_never_shown(own, tenant):
    listed(tenant, "OTHERS", valid_for=["C2"])
    listed(tenant, "GIVEN", issued_to="C2")
    listed(tenant, "REF", issued_to="C2", is_referral=True)
    listed(tenant, "MINE", issued_to="C1", valid_for=["C2", "C1"])
    answer = own.get(OWN)
    assert [coupon["code"] for coupon in answer.json()] == ["MINE"]
    assert b"C2" not in answer.content


def test_only_what_could_be_used_now(own, tenant, now):
    listed(tenant, "NOW")
    listed(tenant, "LATER", valid_from=now + timedelta(seconds=1))
    listed(tenant, "OVER", valid_to=now - timedelta(seconds=1))
    listed(tenant, "GONE", is_deleted=True)
    listed(tenant, "SPENT", max_redemptions=2, redemption_count=2)
    held = listed(tenant, "HELD", max_redemptions=1)
    ReservationFactory(coupon=held, customer_number="C2")
    mine = listed(tenant, "HELD-BY-ME", max_redemptions=1)
    ReservationFactory(coupon=mine, customer_number="C1")
    each = listed(tenant, "EACH", max_redemptions_per_customer=1)
    RedemptionFactory(coupon=each, customer_number="C1")
    assert codes(own) == ["NOW", "HELD-BY-ME"]


def test_segments_that_count_for_the_customer(own, tenant, site, customer):
    other = SiteFactory(tenant=tenant, code="other")
    for code, place, is_member, status in (
        ("MAIN", site, True, "ACTIVE"),
        ("OTHER", other, True, "ACTIVE"),
        ("STRANGE", site, False, "ACTIVE"),
        ("ASLEEP", site, True, "INACTIVE"),
    ):
        segment = SegmentFactory(site=place, status=status)
        coupon = listed(tenant, code, is_segment_restricted=True)
        CouponSegmentFactory(coupon=coupon, segment=segment)
        if is_member:
            CustomerAssignmentFactory(segment=segment, customer=customer)
    assert codes(own) == ["MAIN", "OTHER"]
    assert codes(own, siteCode=site.code) == ["MAIN"]
    assert own.get(OWN, siteCode="nowhere").status_code == 400


def test_limits_count_for_the_legal_entity_that_the_customer_acts_for(customer_api, tenant, customer):
    coupon = listed(tenant, "EACH", max_redemptions_per_customer=1)
    entities = [LegalEntityFactory(tenant=tenant, external_id=name) for name in ("L1", "L2")]
    for entity in entities:
        ContactAssignmentFactory(customer=customer, legal_entity=entity)
    RedemptionFactory(coupon=coupon, customer_number="C1", legal_entity_id="L1")
    assert codes(customer_api(customer, legal_entity=entities[0])) == []
    assert codes(customer_api(customer, legal_entity=entities[1])) == ["EACH"]
    assert codes(customer_api(customer), legalEntityId="L1") == []


def test_what_was_used_before_an_erasure_counts_when_the_number_comes_again(own, tenant, customer):
    coupon = listed(tenant, "EACH", max_redemptions_per_customer=1)
    RedemptionFactory(coupon=coupon, customer_number=pseudonym_of(tenant.pk, customer.external_id))
    refused = own.post(f"{COUPONS}/EACH/validation", order())
    assert refused.json()["details"][0]["type"] == "customer_limit_reached"
    assert codes(own) == []


def test_currency_leaves_out_what_needs_another(own, tenant):
    money = {"discount_type": "ABSOLUTE", "discount_amount": 5}
    listed(tenant, "TEN")
    listed(tenant, "EUROS", **money, discount_currency="EUR")
    listed(tenant, "DOLLARS", **money, discount_currency="USD")
    listed(tenant, "MIN", min_order_amount=5, min_order_currency="USD")
    assert codes(own, currency="EUR") == ["TEN", "EUROS"]
    assert own.get(OWN, currency="euro").status_code == 400


def test_the_tag_changes_with_ones_own_redemptions(own, tenant):
    listed(tenant, "EACH", max_redemptions_per_customer=1)
    first = own.get(OWN)
    assert "private" in first["Cache-Control"]
    assert own.get(OWN, headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert own.post(f"{COUPONS}/EACH/redemptions", order()).status_code == 201
    again = own.get(OWN, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.json()) == (200, [])


def test_it_needs_a_customers_token(anonymous_api, shop, manager):
    assert [api.get(OWN).status_code for api in (anonymous_api, shop, manager)] == [403, 403, 403]


def test_a_put_that_does_not_say_it_keeps_it(manager, tenant):
    body = {"name": "A", "discountType": "PERCENT", "discountPercentage": 5}
    assert manager.post(COUPONS, {**body, "code": "A"}).status_code == 201
    assert Coupon.objects.get().is_listed is None
    assert "listed" not in manager.get(f"{COUPONS}/A").json()
    for sent, kept in (({"listed": True}, True), ({}, True), ({"listed": False}, False), ({}, False)):
        assert manager.put(f"{COUPONS}/A", {**body, **sent}).status_code == 200
        assert Coupon.objects.get().is_listed is kept
        assert manager.get(f"{COUPONS}/A").json()["listed"] is kept
    assert manager.send("patch", f"{COUPONS}/A", {"name": "B"}).status_code == 200
    assert Coupon.objects.get().is_listed is False
    assert manager.send("patch", f"{COUPONS}/A", {"listed": None}).status_code == 200
    assert Coupon.objects.get().is_listed is None
    assert manager.get(COUPONS, q="listed:missing").json() != []


def test_a_page_takes_two_statements(own, tenant, django_assert_num_queries):
    for number in range(20):
        listed(tenant, f"N{number}", max_redemptions=5, max_redemptions_per_customer=1)
    codes(own)
    with django_assert_num_queries(2):
        codes(own)


def test_others_are_not_shown(customer_api, tenant):
    CouponFactory(tenant=tenant, code="FOR-C1", valid_for=["C1"])
    assert codes(customer_api(CustomerFactory(tenant=tenant, external_id="C2"))) == []
