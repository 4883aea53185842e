"""Previews of shops with many customers: estimates from a sample, and counting of the few who belong."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, RuleExclusion, Segment
from segments.rules import previews
from segments.rules.previews import PreviewBody, RulePreview, preview_rule
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
CUSTOMERS = 240
FEW = 3

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(tenant: Tenant) -> Segment:
    """A segment of a shop in which half of the customers have a high score, and few are on hold."""
    segment: Segment = SegmentFactory(site=SiteFactory(tenant=tenant), external_id="gold")
    for number in range(CUSTOMERS):
        CustomerFactory(
            tenant=tenant,
            external_id=f"c{number}",
            is_on_hold=number < FEW,
            mixins={"score": number},
        )
    return segment


@pytest.fixture
def is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "MOST_EXACT", CUSTOMERS - 1)
    monkeypatch.setattr(previews, "SOON", previews.PATIENT)


def customer(number: str) -> Customer:
    found: Customer = Customer.objects.get(external_id=number)
    return found


def preview(segment: Segment, q: str, **named: object) -> RulePreview:
    body = PreviewBody(q=q, segment_id=segment.external_id, **named)  # type: ignore[arg-type]
    return preview_rule(tenant=segment.tenant, body=body, at=AT, longest=previews.PATIENT)


def numbers(shown: RulePreview) -> tuple[object, ...]:
    return shown.count, shown.joins, shown.leaves, [term.count for term in shown.terms]


RULE = "onHold:false mixins.score:>=120 redemptions.90d.count:0"


def test_all_customers_are_counted_in_one_pass(shop: Segment) -> None:
    member = CustomerAssignmentFactory(segment=shop, customer=customer("c200"))
    leaver = CustomerAssignmentFactory(segment=shop, customer=customer("c1"))
    CustomerAssignment.objects.filter(pk__in=[member.pk, leaver.pk]).update(assignment_type="AUTOMATIC")
    RuleExclusion.objects.create(tenant=shop.tenant, segment=shop, customer=customer("c201"))
    shown = preview(shop, RULE)
    assert numbers(shown) == (119, 118, 1, [237, 120, 240])
    assert not shown.is_capped
    assert not any(term.is_capped for term in shown.terms)
    assert len({one.id for one in shown.sample}) == 20
    assert shown.share == round(119 / 240, 4)


def test_a_sample_of_all_estimates_what_is_counted(
    shop: Segment, is_large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "EACH", 1)
    counted, shown = preview(shop, RULE, exact=True), preview(shop, RULE)
    assert numbers(counted) == (120, 120, 0, [237, 120, 240])
    assert numbers(shown) == (120, 120, 0, [240, 120, 240])  # in two digits
    assert (shown.is_capped, counted.is_capped) == (True, False)
    assert all(term.is_capped for term in shown.terms)
    assert len(shown.sample) == 20


@pytest.mark.parametrize("is_estimated", [True, False])
def test_redemptions_in_other_currencies_are_counted_or_estimated(
    shop: Segment, is_large: None, monkeypatch: pytest.MonkeyPatch, is_estimated: bool
) -> None:
    monkeypatch.setattr(previews, "EACH", 1)
    for number in range(2):
        RedemptionFactory(
            coupon=CouponFactory(tenant=shop.tenant),
            customer=customer(f"c{number}"),
            customer_number=f"c{number}",
            discount_amount=1,
            discount_currency="CHF",
        )
    assert preview(shop, "redemptions.total:0", exact=not is_estimated).left_out == 2


@pytest.mark.parametrize(
    ("stored", "source"),
    [(CUSTOMERS, "TABLESAMPLE SYSTEM"), (100 * CUSTOMERS, "accounts_customer WHERE")],
)
def test_a_sample_of_some_estimates_all(
    shop: Segment, is_large: None, monkeypatch: pytest.MonkeyPatch, stored: int, source: str
) -> None:
    """A shop that has most of the customers is sampled by pages, one of many shops by its own index."""
    monkeypatch.setattr(previews, "EACH", 2)
    monkeypatch.setattr(previews, "SAMPLED", 100)
    monkeypatch.setattr(previews, "RARE", 1)
    monkeypatch.setattr(previews, "stored_customers", lambda: stored)
    with CaptureQueriesContext(connection) as captured:
        preview(shop, "mixins.score:>=0")
    assert [query for query in captured if source in query["sql"] and "hashint8extended" in query["sql"]]
    shown = preview(shop, "mixins.score:>=0")
    assert numbers(shown) == (CUSTOMERS, CUSTOMERS, 0, [CUSTOMERS])
    assert (shown.is_capped, shown.share) == (True, 1.0)
    assert preview(shop, RULE) == preview(shop, RULE)  # the sample is the same each time


@pytest.mark.parametrize(
    "q", ["onHold:true redemptions.count:0", "redemptions.count:0 onHold:true", "onHold:true"]
)
def test_few_who_belong_are_counted(
    shop: Segment, is_large: None, monkeypatch: pytest.MonkeyPatch, q: str
) -> None:
    monkeypatch.setattr(previews, "EACH", 2)
    shown = preview(shop, q)
    assert (shown.count, shown.joins, shown.is_capped) == (FEW, FEW, False)
    assert {one.id for one in shown.sample} == {"c0", "c1", "c2"}
    assert all(term.is_capped for term in shown.terms)


def test_nobody_who_belongs_is_counted(shop: Segment, is_large: None) -> None:
    shown = preview(shop, "onHold:true mixins.score:>5000 redemptions.90d.count:>=20")
    assert (shown.count, shown.is_capped, shown.sample) == (0, False, [])


def test_contacts_of_companies_are_counted(shop: Segment) -> None:
    company = LegalEntityFactory(tenant=shop.tenant, external_id="acme-1", type="COMPANY")
    for number in range(2):
        ContactAssignmentFactory(customer=customer(f"c{number}"), legal_entity=company)
    shown = preview(shop, "type:COMPANY", membership="LEGAL_ENTITY")
    assert numbers(shown) == (2, 2, 0, [2])
    assert {(one.id, one.legal_entity_id) for one in shown.sample} == {("c0", "acme-1"), ("c1", "acme-1")}


def test_what_cannot_be_counted_in_time_is_estimated(
    shop: Segment, is_large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "EACH", 1)
    monkeypatch.setattr(previews, "EXACTLY", 0)  # no time
    shown = preview(shop, RULE, exact=True)
    assert (shown.count, shown.is_capped) == (120, True)
