"""What needs attention: each finding finds its case, and nothing where all is well."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.identity.scopes import SEGMENT_READ
from accounts.models import ContactAssignment, Customer, Site
from catalog.models import Category, Product
from coupons.models import Coupon
from segments.findings import registered_findings
from segments.models import CustomerAssignment, ItemAssignment, Rule, Segment
from tests.conftest import Api, web_client
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    UserFactory,
)
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponCampaignFactory, CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

FINDINGS = "/customer-segment/acme/findings"
DAY = timedelta(days=1)


@pytest.fixture
def shop(site: Site, now: Any) -> Segment:
    """A shop in which all is well: one segment with a B2C and a B2B member, items, and a coupon."""
    tenant = site.tenant
    gold = SegmentFactory(site=site, external_id="gold", valid_from=now - DAY, valid_to=now + 30 * DAY)
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    entity = LegalEntityFactory(tenant=tenant, external_id="L1")
    ContactAssignmentFactory(customer=customer, legal_entity=entity)
    CustomerAssignmentFactory(segment=gold, customer=customer)
    CustomerAssignmentFactory(segment=gold, customer=customer, legal_entity=entity)
    above = CategoryFactory(tenant=tenant, external_id="above")
    category = CategoryFactory(parent=above, external_id="coffee")
    ItemAssignmentFactory(segment=gold, product=None, category=category)
    ItemAssignmentFactory(segment=gold, product=ProductFactory(tenant=tenant))
    coupon = CouponFactory(tenant=tenant, code="TEN", is_segment_restricted=True, valid_to=now + DAY)
    CouponSegmentFactory(coupon=coupon, segment=gold)
    return gold


def twin(now: datetime) -> None:
    gold = Segment.objects.get()
    silver = SegmentFactory(site=gold.site, external_id="silver")
    for model in (CustomerAssignment, ItemAssignment):
        for row in model.objects.filter(segment=gold):
            row.pk, row.segment = None, silver
            row.save()


def rule(**columns: object) -> None:
    gold = Segment.objects.get()
    Rule.objects.create(tenant=gold.tenant, segment=gold, q="onHold:false", **columns)


def start_later(now: datetime) -> None:
    Segment.objects.update(valid_from=now + DAY / 2)


FAULTS: dict[str, tuple[Callable[[Any], object], set[str]]] = {
    "segment_active_but_over": (lambda now: Segment.objects.update(valid_to=now - DAY / 2), {"gold"}),
    "segment_without_members": (lambda now: CustomerAssignment.objects.all().delete(), {"gold"}),
    "segment_without_items": (lambda now: ItemAssignment.objects.all().delete(), {"gold"}),
    "segment_starts_without_members": (
        lambda now: (start_later(now), CustomerAssignment.objects.all().delete()),
        {"gold"},
    ),
    "segment_starts_without_items": (
        lambda now: (start_later(now), ItemAssignment.objects.all().delete()),
        {"gold"},
    ),
    "segment_items_unpublished": (
        lambda now: (
            Product.objects.update(is_published=False),
            Category.objects.filter(external_id="above").update(is_published=False),
        ),
        {"gold"},
    ),
    "segments_equal": (twin, {"gold", "silver"}),
    "members_on_hold": (lambda now: Customer.objects.update(is_on_hold=True), {"gold"}),
    "member_without_contact": (lambda now: ContactAssignment.objects.all().delete(), {"gold"}),
    "category_unpublished": (
        lambda now: Category.objects.filter(external_id="above").update(is_published=False),
        {"coffee"},
    ),
    "windows_never_overlap": (
        lambda now: CustomerAssignment.objects.update(valid_from=now + 40 * DAY),
        {"gold"},
    ),
    "rule_failed": (lambda now: rule(state="FAILED"), {"gold"}),
    "rule_slow": (lambda now: rule(milliseconds=30_001), {"gold"}),
    "rule_drifted": (lambda now: rule(drift=1), {"gold"}),
    "coupon_without_live_segment": (lambda now: Segment.objects.update(status="INACTIVE"), {"TEN"}),
    "coupon_outlives_segments": (lambda now: Coupon.objects.update(valid_to=None), {"TEN"}),
    "coupon_window_never_overlaps": (
        lambda now: Coupon.objects.update(valid_from=now + 31 * DAY, valid_to=now + 32 * DAY),
        {"TEN"},
    ),
}
FOLLOWS = {  # what else is found in these shops, since it is true there as well
    "segment_active_but_over": {"coupon_without_live_segment"},
    "segment_items_unpublished": {"category_unpublished"},
}


def found(api: Api, **query: object) -> dict[str, set[str]]:
    answer = api.get(FINDINGS, **query)
    assert answer.status_code == 200, answer.content
    assert all(row["count"] == {"value": len(row["objects"]), "exact": True} for row in answer.json())
    return {row["name"]: {one["id"] for one in row["objects"]} for row in answer.json() if row["objects"]}


def test_every_finding_is_listed_and_a_sound_shop_has_none(coupon_reader, shop):
    assert found(coupon_reader) == {}
    rows = coupon_reader.get(FINDINGS).json()
    assert {row["name"] for row in rows} == FAULTS.keys() == registered_findings().keys()


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(coupon_reader, shop, now, name):
    break_it, expected = FAULTS[name]
    break_it(now)
    results = found(coupon_reader)
    assert results.pop(name) == expected
    assert results.keys() == FOLLOWS.get(name, set())


def test_a_finding_says_more_about_its_objects(coupon_reader, shop, now):
    twin(now)
    Customer.objects.update(is_on_hold=True)
    coupon_reader.headers["Accept-Language"] = "en"
    rows = {row["name"]: row["objects"] for row in coupon_reader.get(FINDINGS).json()}
    assert rows["segments_equal"][0] == {
        "id": "gold",
        "name": {"en": "Segment gold"},
        "details": {"equalTo": ["silver"]},
    }
    assert rows["members_on_hold"][0]["details"] == {"members": 2}


def test_of_the_codes_of_a_campaign_the_campaign_is_found(coupon_reader, shop, staff_browser, now):
    gold = Segment.objects.get()
    terms = CouponFactory(tenant=gold.tenant, name="Winter", is_segment_restricted=True, valid_from=now)
    campaign = CouponCampaignFactory(tenant=gold.tenant, terms=terms, external_id="winter")
    CouponSegmentFactory(coupon=terms, segment=gold)
    [row] = [one for one in coupon_reader.get(FINDINGS).json() if one["objects"]]
    assert (row["name"], row["count"]["value"]) == ("coupon_outlives_segments", 1)
    assert (row["objects"][0]["id"], row["objects"][0]["name"]) == (
        "coupon-campaigns/winter",
        {"en": "Winter"},
    )
    page = reverse("admin:segments_segment_problems", args=[gold.pk])
    text = staff_browser.get(page, headers={"X-Fragment": "1"}).content.decode()
    address = reverse("admin:coupons_couponcampaign_change", args=[campaign.pk])
    assert f'<a href="{address}">Winter</a>' in text
    assert terms.code not in text
    remedy = reverse("admin:finding_remedy", args=[row["name"]])
    other = UserFactory(tenant=shop.tenant)
    other.user_permissions.set(Permission.objects.filter(codename__in=["view_segment", "change_coupon"]))
    browser = web_client()
    browser.force_login(other)
    assert browser.post(remedy, {"id": row["objects"][0]["id"]}).status_code == 403
    answer = staff_browser.post(remedy, {"id": row["objects"][0]["id"], "next": "/admin/"}, follow=True)
    terms.refresh_from_db()
    assert terms.valid_to == gold.valid_to
    assert found(coupon_reader) == {}
    [message] = [str(one) for one in answer.context["messages"]]
    occasion = dict(re.findall(r'name="(type|id|next)" value="([^"]*)"', message))
    staff_browser.post(reverse("admin:journal_change_undo_occasion"), occasion)
    terms.refresh_from_db()
    assert terms.valid_to is None


def test_the_caller_chooses_what_is_looked_for(coupon_reader, service_api, shop, now):
    FAULTS["segment_without_items"][0](now)
    assert found(coupon_reader, name="segment_without_items") == {"segment_without_items": {"gold"}}
    short = coupon_reader.get(FINDINGS, name="segment_without_items", limit=0).json()
    assert (short[0]["count"]["value"], short[0]["objects"]) == (1, [])
    unknown = coupon_reader.get(FINDINGS, name="nothing")
    assert (unknown.status_code, unknown.json()["details"]["field"]) == (400, "name")
    without_coupons = {row["type"] for row in service_api(SEGMENT_READ).get(FINDINGS).json()}
    assert without_coupons == {"segment", "category"}


def test_each_finding_takes_one_statement(coupon_reader, shop, django_assert_num_queries):
    # each with its time limit: a savepoint, two settings, its release
    with django_assert_num_queries(5 * len(registered_findings())):
        coupon_reader.get(FINDINGS)


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command("check_shop", "acme", *arguments)
    return capsys.readouterr().out


def test_the_command_reports_and_fails_on_what_it_is_told_to(shop, now, capsys):
    assert check(capsys, "--fail-on", "any") == "acme: nothing needs attention\n"
    FAULTS["coupon_without_live_segment"][0](now)
    text = check(capsys, "--fail-on", "warning,segment_without_items")
    assert text.startswith("error: coupon_without_live_segment (1): ")
    assert text.endswith("\n  TEN\n")
    [row] = json.loads(check(capsys, "--json"))
    assert (row["name"], row["objects"][0]["id"]) == ("coupon_without_live_segment", "TEN")
    for word in ("any", "error", "coupon_without_live_segment"):
        with pytest.raises(CommandError, match="needs attention: coupon_without_live_segment"):
            check(capsys, "--fail-on", word)
    for arguments in (["--fail-on", "everything"], []):
        with pytest.raises(CommandError, match="does not know|no tenant"):
            call_command("check_shop", "acme" if arguments else "nobody", *arguments)
