"""The start page of the admin says what the API says, in a bounded number of statements."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.identity.scopes import COUPON_READ, SEGMENT_READ
from accounts.models import Site
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Segment
from tests.conftest import Api, browser_with
from tests.factories.accounts import CustomerFactory, SiteFactory, UserFactory
from tests.factories.catalog import ProductFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.usefixtures("real_time")
FRAGMENT = {"HTTP_X_FRAGMENT": "1"}


def text_of(response: Any) -> str:
    assert response.status_code == 200, response
    text: str = response.content.decode()
    return text


def numbers_of(text: str) -> list[str]:
    return re.findall(r"<strong>([^<]*)</strong>", text[text.index("facts numbers") : text.index("</ul>")])


def fill(site: Site) -> Segment:
    now = timezone.now()
    gold = SegmentFactory(site=site, external_id="gold", name={"de": "Gold auf Deutsch", "en": "Gold"})
    CustomerAssignmentFactory.create_batch(3, segment=gold)
    soon = SegmentFactory(site=site, external_id="soon", valid_from=now + timedelta(days=3))
    ItemAssignmentFactory(segment=soon)
    SegmentFactory(site=site, external_id="ending", valid_to=now + timedelta(days=2))
    SegmentFactory(site=site, external_id="off", status="INACTIVE", valid_from=now + timedelta(days=3))
    CouponFactory(tenant=site.tenant, code="FREE", name="Free")
    return gold


def test_numbers_and_findings_are_those_of_the_api(
    staff_browser: Client, site: Site, tenant: Tenant, service_api: Callable[..., Api]
) -> None:
    api = service_api(SEGMENT_READ, COUPON_READ)
    gold = fill(site)
    text = text_of(staff_browser.get("/admin/"))
    assert numbers_of(text) == ["2", "3", "1", "1", "1"]
    base = f"/customer-segment/{tenant.name}"
    calendar = api.get(f"{base}/calendar").json()
    active = [entry for entry in calendar["entries"] if entry["status"] == "ACTIVE"]
    assert [sum(entry[name] for entry in active) for name in ("starts", "ends")] == [1, 1]
    found = [one for one in api.get(f"{base}/findings").json() if one["count"]["value"]]
    assert found
    page = text_of(staff_browser.get(reverse("admin:panel", args=["findings"])))
    for one in found:
        assert one["message"] in page
    fragment = text_of(staff_browser.get(reverse("admin:panel", args=["findings"]), **FRAGMENT))
    assert f'data-text="{sum(one["count"]["value"] for one in found)}"' in fragment
    assert reverse("admin:segments_segment_change", args=[gold.pk]) in fragment


def test_names_are_in_the_language_of_the_reader(staff_browser: Client, site: Site) -> None:
    fill(site)
    english = text_of(staff_browser.get("/admin/"))
    staff_browser.cookies["django_language"] = "de"
    german = text_of(staff_browser.get("/admin/"))
    assert (">Gold</a>" in english, ">Gold auf Deutsch</a>" in english) == (True, False)
    assert (">Gold</a>" in german, ">Gold auf Deutsch</a>" in german) == (False, True)


def test_statements_do_not_depend_on_how_much_there_is(staff_browser: Client, site: Site) -> None:
    counts = []
    for number in (1, 12):
        for segment in SegmentFactory.create_batch(number, site=site):
            CustomerAssignmentFactory(segment=segment)
            CouponFactory(tenant=site.tenant, valid_to=timezone.now() + timedelta(days=number))
        with CaptureQueriesContext(connection) as queries:
            text_of(staff_browser.get("/admin/"))
        counts.append(len(queries))
    assert counts[1] <= counts[0] <= 36
    # whether a change can be undone is looked up by keys; nothing else reads memberships
    assert not [
        query["sql"]
        for query in queries
        if "segments_customerassignment" in query["sql"] and "journal_change" not in query["sql"]
    ]


def test_changes_can_be_taken_back_from_the_start_page(staff_browser: Client, site: Site) -> None:
    member = CustomerAssignmentFactory(segment=SegmentFactory(site=site, name={"en": "Gold"}))
    text = text_of(staff_browser.get("/admin/"))
    assert "added 1 member" in text
    addresses = re.findall(r'action="(/admin/journal/change/\d+/undo/)"', text)
    answer = staff_browser.post(addresses[0], {"next": "/admin/"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert not CustomerAssignment.objects.filter(pk=member.pk).exists()
    answer = staff_browser.post(addresses[0], {"next": "https://elsewhere.example/admin/"})
    assert answer["Location"] == reverse("admin:journal_change_changelist")


def test_panels_show_only_what_the_user_may_see(tenant: Tenant, site: Site) -> None:
    fill(site)
    browser = browser_with(tenant, "view_segment", "view_coupon", "view_redemption", "view_change")
    text = text_of(browser.get("/admin/"))
    assert ("Gold" in text, "FREE" in text) == (False, False)
    for name in ("findings", "calendar", "members", "redemptions", "changes"):
        assert browser.get(reverse("admin:panel", args=[name])).status_code == 403
        assert text_of(browser.get(reverse("admin:panel", args=[name]), **FRAGMENT)) == ""
    assert browser.get(reverse("admin:panel", args=["nothing"])).status_code == 404


def test_the_calendar_has_a_private_address(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    fill(site)
    text = text_of(staff_browser.get("/admin/"))
    [address] = re.findall(r'href="http://testserver(/admin/calendar/[^"]+\.ics)"', text)
    stranger = Client()
    calendar = stranger.get(address)
    assert calendar["Content-Type"].startswith("text/calendar")
    assert "SUMMARY:Segment soon starts" in calendar.content.decode()
    assert stranger.get(address.replace(".ics", "x.ics")).status_code == 404
    worker = UserFactory._meta.model.objects.get(username="staff")
    worker.set_password("another")
    worker.save()
    assert stranger.get(address).status_code == 404


def test_another_tenant_is_not_shown(staff_browser: Client, other_tenant: Tenant) -> None:
    foreign = SegmentFactory(site=SiteFactory(tenant=other_tenant), name={"en": "Foreign"})
    CustomerFactory(tenant=other_tenant, external_id="F1", last_name="Foreigner")
    assert "Foreign" not in text_of(staff_browser.get("/admin/", {"tenant": other_tenant.pk}))
    assert foreign.name["en"] not in text_of(staff_browser.get(reverse("admin:panel", args=["findings"])))
    assert 'class="found"' not in text_of(staff_browser.get("/admin/find/", {"q": "Foreign"}))


def test_find_opens_the_only_hit_and_lists_several(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    vip = SegmentFactory(site=site, name={"en": "Advent VIP"})
    ada = CustomerFactory(tenant=tenant, external_id="77", email="ada@example.com", last_name="Advent")
    answer = staff_browser.get("/admin/find/", {"q": "ada@example.com"})
    assert answer["Location"] == reverse("admin:accounts_customer_change", args=[ada.pk])
    ProductFactory(tenant=tenant, name={"en": "Advent calendar"})
    text = text_of(staff_browser.get("/admin/find/", {"q": "advent"}))
    assert reverse("admin:segments_segment_change", args=[vip.pk]) in text
    assert (text.count('class="found"'), "ada@example.com" in text) == (3, True)
    assert "Nothing begins with" in text_of(staff_browser.get("/admin/find/", {"q": "\0zzz"}))
