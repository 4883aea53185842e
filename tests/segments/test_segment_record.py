"""The page of a segment: state, numbers, problems with remedies, and what saving it does."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Site
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from segments.models import Segment
from tests.conftest import browser_with
from tests.factories.accounts import CustomerFactory, LegalEntityFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.usefixtures("real_time")
DAY = timedelta(days=1)


def record(browser: Client, segment: Segment) -> Any:
    response = browser.get(reverse("admin:segments_segment_change", args=[segment.pk]))
    assert response.status_code == 200
    return response


def form_values(segment: Segment, **changes: object) -> JsonObject:
    return {
        "site": segment.site_id,
        "name_en": segment.name["en"],
        "status": segment.status,
        "expected_version": segment.version,
        "mixins": "",
        "mixin_schemas": "",
        **changes,
    }


def test_numbers_are_exact_and_lead_to_what_they_count(
    staff_browser: Client, tenant: Tenant, site: Site
) -> None:
    gold = SegmentFactory(site=site, name={"en": "Gold"})
    CustomerAssignmentFactory.create_batch(2, segment=gold)
    CustomerAssignmentFactory(segment=gold, legal_entity=LegalEntityFactory(tenant=tenant))
    CustomerFactory(tenant=tenant)
    ItemAssignmentFactory(segment=gold)
    food = CategoryFactory(tenant=tenant)
    ItemAssignmentFactory(segment=gold, product=None, category=food)
    for product in ProductFactory.create_batch(2, tenant=tenant):
        CategoryAssignmentFactory(tenant=tenant, product=product, category=food)
    CouponSegmentFactory(coupon=CouponFactory(tenant=tenant), segment=gold)
    response = record(staff_browser, gold)
    shown = [(one.number, one.text, one.details) for one in response.context["numbers"]]
    assert shown == [
        ("3", "members", ""),
        ("1", "for a company", ""),
        ("1", "product", ""),
        ("1", "category", "with 2 products"),
        ("1", "coupon", ""),
    ]
    for one in response.context["numbers"]:
        if one.url:
            page = staff_browser.get(one.url)
            assert page.status_code == 200
            assert page.context["cl"].result_count == int(one.number)
    labels = [str(tab["label"]) for tab in response.context["tabs"]]
    assert labels == [
        "Overview",
        "Who belongs",
        "Members",
        "Products & categories",
        "Coupons",
        "Report",
        "Activity",
    ]
    for tab in response.context["tabs"]:
        assert staff_browser.get(tab["url"]).status_code == 200


def test_the_share_of_all_customers_is_said(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    gold = SegmentFactory(site=site)
    CustomerAssignmentFactory.create_batch(2, segment=gold)
    CustomerFactory(tenant=tenant)
    assert record(staff_browser, gold).context["numbers"][0].details == "66.6 % of all customers"


@pytest.mark.parametrize(
    ("status", "starts", "ends", "words", "style"),
    [
        ("ACTIVE", None, None, "Live, without an end", "on"),
        ("ACTIVE", None, 2 * DAY, "Live, ends in 2\xa0days", "on"),
        ("ACTIVE", 3 * DAY, None, "Starts in 3\xa0days", "waiting"),
        ("ACTIVE", None, -2 * DAY, "Over for 2\xa0days", "over"),
        ("INACTIVE", None, None, "Inactive: it counts for nobody", "off"),
    ],
)
def test_the_state_is_said_in_words(
    staff_browser: Client, site: Site, status: str, starts: Any, ends: Any, words: str, style: str
) -> None:
    now = timezone.now()
    gold = SegmentFactory(
        site=site, status=status, valid_from=starts and now + starts, valid_to=ends and now + ends
    )
    context = record(staff_browser, gold).context
    assert (context["state_words"], context["state"][1]) == (words, style)


def test_a_title_never_has_a_generated_id(staff_browser: Client, site: Site) -> None:
    gold = SegmentFactory(
        site=site, external_id="0b1e5a2c-3f57-4d1e-9e3c-0123456789ab", name={"de": "Gold", "en": "Golden"}
    )
    text = record(staff_browser, gold).content.decode()
    [title] = re.findall(r"<title>(.*?)</title>", text, re.DOTALL)
    [heading] = re.findall(r"<h1>(.*?)</h1>", text)
    assert title.startswith("Golden")
    assert heading == "Golden"
    staff_browser.cookies["django_language"] = "de"
    assert "<h1>Gold</h1>" in record(staff_browser, gold).content.decode()


def test_members_over_time_end_with_what_there_is(staff_browser: Client, site: Site) -> None:
    gold = SegmentFactory(site=site)
    CustomerAssignmentFactory.create_batch(4, segment=gold)
    assert record(staff_browser, SegmentFactory(site=site)).context["chart"] is None  # nobody ever was in it
    chart = record(staff_browser, gold).context["chart"]
    assert [chart.values[place].value for place in (0, -2, -1)] == [0, 0, 4]
    assert len(chart.values) == 30


def test_an_inactive_segment_offers_to_activate_it(staff_browser: Client, site: Site) -> None:
    gold = SegmentFactory(site=site, status="INACTIVE")
    page = reverse("admin:segments_segment_activate", args=[gold.pk])
    assert page in record(staff_browser, gold).content.decode()
    answer = staff_browser.post(page, follow=True)
    gold.refresh_from_db()
    assert gold.status == "ACTIVE"
    assert "Undo" in answer.content.decode()
    assert staff_browser.get(page).status_code == 302


def test_deactivating_asks_when_customers_lose_something(staff_browser: Client, site: Site) -> None:
    gold = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=gold)
    page = reverse("admin:segments_segment_deactivate", args=[gold.pk])
    question = staff_browser.post(page)
    assert "1</strong> customer loses it" in question.content.decode()
    gold.refresh_from_db()
    assert gold.status == "ACTIVE"
    assert staff_browser.post(page, {"_confirmed": "1"}).status_code == 302
    gold.refresh_from_db()
    assert gold.status == "INACTIVE"


def test_saving_says_whom_it_affects_and_offers_undo(staff_browser: Client, site: Site) -> None:
    gold = SegmentFactory(site=site, status="INACTIVE", name={"en": "Gold"})
    CustomerAssignmentFactory.create_batch(2, segment=gold)
    page = reverse("admin:segments_segment_change", args=[gold.pk])
    answer = staff_browser.post(page, form_values(gold, status="ACTIVE"), follow=True)
    assert answer.redirect_chain == [(page, 302)]
    [message] = [str(one) for one in answer.context["messages"]]
    assert message.startswith(f"Saved “{gold}”. Affected: 2 customers, from now on.")
    occasion = dict(re.findall(r'name="(type|id|next)" value="([^"]*)"', message))
    staff_browser.post(reverse("admin:journal_change_undo_occasion"), occasion)
    gold.refresh_from_db()
    assert gold.status == "INACTIVE"


def test_problems_are_shown_with_a_remedy(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    now = timezone.now()
    gold = SegmentFactory(site=site, valid_to=now + DAY)
    other = SegmentFactory(site=site, valid_to=now + DAY)
    for code, segment in (("LONG", gold), ("ELSEWHERE", other)):
        coupon = CouponFactory(tenant=tenant, code=code, is_segment_restricted=True, valid_to=now + 4 * DAY)
        CouponSegmentFactory(coupon=coupon, segment=segment)
    page = reverse("admin:segments_segment_problems", args=[gold.pk])
    text = staff_browser.get(page, headers={"X-Fragment": "1"}).content.decode()
    assert ("LONG" in text, "ELSEWHERE" in text) == (True, False)
    assert "Align the ends" in text
    remedy = reverse("admin:finding_remedy", args=["coupon_outlives_segments"])
    answer = staff_browser.post(remedy, {"id": "LONG", "next": "/admin/"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert "coupon" not in staff_browser.get(page, headers={"X-Fragment": "1"}).content.decode()
    assert staff_browser.post(reverse("admin:finding_remedy", args=["nothing"])).status_code == 404


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", {"live": "is live and has no members", "later": "starts later and has no members yet"}),
        ("de", {"live": "ist live und hat keine Mitglieder", "later": "beginnt später und hat noch keine"}),
    ],
)
def test_an_empty_segment_is_told_what_its_state_makes_of_that(
    staff_browser: Client, site: Site, language: str, says: dict[str, str]
) -> None:
    now = timezone.now()
    segments = {
        "live": SegmentFactory(site=site),
        "later": SegmentFactory(site=site, valid_from=now + DAY),
        "over": SegmentFactory(site=site, valid_to=now - DAY),
        "inactive": SegmentFactory(site=site, status="INACTIVE"),
    }
    staff_browser.cookies["django_language"] = language

    def problems(segment: Segment) -> list[str]:
        page = reverse("admin:segments_segment_problems", args=[segment.pk])
        return [one.name for one in staff_browser.get(page).context["findings"]]

    assert {state: problems(segment) for state, segment in segments.items()} == {
        "live": ["segment_without_members", "segment_without_items"],
        "later": ["segment_starts_without_members", "segment_starts_without_items"],
        "over": ["segment_active_but_over"],  # which is what to mend first
        "inactive": [],  # a draft may be empty
    }
    for state, text in says.items():
        page = reverse("admin:segments_segment_problems", args=[segments[state].pk])
        assert text in staff_browser.get(page).content.decode()


def test_a_remedy_needs_the_right_to_change(tenant: Tenant, site: Site) -> None:
    gold = SegmentFactory(site=site, valid_to=timezone.now() - DAY)
    browser = browser_with(tenant, "change_segment")
    remedy = reverse("admin:finding_remedy", args=["segment_active_but_over"])
    assert browser.post(remedy, {"id": gold.external_id}).status_code == 403
    gold.refresh_from_db()
    assert gold.status == "ACTIVE"


def test_other_tenants_segments_are_not_found(staff_browser: Client, other_tenant: Tenant) -> None:
    foreign = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    for name in ("problems", "activate", "deactivate"):
        page = reverse(f"admin:segments_segment_{name}", args=[foreign.pk])
        assert (staff_browser.get(page).status_code, staff_browser.post(page).status_code) == (404, 404)


def test_the_page_takes_the_same_statements_however_many_members(staff_browser: Client, site: Site) -> None:
    gold = SegmentFactory(site=site)
    counts = []
    for number in (1, 20):
        CustomerAssignmentFactory.create_batch(number, segment=gold)
        for product in ProductFactory.create_batch(number, tenant=site.tenant):
            ItemAssignmentFactory(segment=gold, product=product)
        with CaptureQueriesContext(connection) as queries:
            record(staff_browser, gold)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 25
    read = [one["sql"] for one in queries if "FROM segments_customerassignment" in one["sql"]]
    assert len(read) == 1
    assert " LIMIT 10001" in read[0]  # those whose time is not now, by small indexes
