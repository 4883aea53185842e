"""What starts and ends when, as JSON and as iCalendar."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from accounts.identity.scopes import SEGMENT_READ
from accounts.models import Site
from segments import calendar
from segments.calendar import folded
from tests.conftest import Api
from tests.factories.accounts import SiteFactory
from tests.factories.coupons import CouponCampaignFactory, CouponFactory, CouponSegmentFactory
from tests.factories.segments import SegmentFactory

CALENDAR = "/customer-segment/acme/calendar"
DAY = timedelta(days=1)


@pytest.fixture
def shop(site: Site, now: Any) -> Site:
    def segment(segment_id: str, start: int | None, end: int | None, **facts: Any) -> Any:
        ends = {"valid_from": start, "valid_to": end}
        window = {column: now + day * DAY for column, day in ends.items() if day is not None}
        return SegmentFactory(**{"site": site, "external_id": segment_id, **window, **facts})

    segment("ends", -5, 2, name={"en": "Ends; soon", "de": "Endet, bald"})
    segment("starts", 3, 40, status="INACTIVE")
    segment("both", 1, 5)
    segment("covers", -5, 60)
    segment("always", None, None)
    segment("over", None, -1)
    segment("later", 15, None)
    outlet = segment("elsewhere", 4, None, site=SiteFactory(tenant=site.tenant, code="outlet"))
    coupon = CouponFactory(
        tenant=site.tenant, code="TEN", is_segment_restricted=True, valid_from=now + 2 * DAY
    )
    CouponSegmentFactory(coupon=coupon, segment=outlet)
    CouponFactory(tenant=site.tenant, code="ENDLESS")
    return site


def entries(api: Api, **query: object) -> list[tuple[str, bool, bool]]:
    answer = api.get(CALENDAR, **query)
    assert answer.status_code == 200, answer.content
    return [(entry["id"], entry["starts"], entry["ends"]) for entry in answer.json()["entries"]]


def test_what_starts_and_ends_in_the_next_two_weeks_comes_first(coupon_reader, shop, now):
    assert entries(coupon_reader) == [
        ("both", True, True),
        ("ends", False, True),  # at the same instant segments come first
        ("TEN", True, False),
        ("starts", True, False),
        ("elsewhere", True, False),
        ("always", False, False),
        ("covers", False, False),
    ]
    body = coupon_reader.get(CALENDAR).json()
    assert (body["from"], body["to"], body["complete"]) == (
        "2026-03-04T09:30:15.250Z",
        "2026-03-18T09:30:15.250Z",
        True,
    )
    assert body["entries"][1] == {
        "type": "segment",
        "id": "ends",
        "status": "ACTIVE",
        "starts": False,
        "ends": True,
        "name": {"en": "Ends; soon", "de": "Endet, bald"},
        "siteCode": "main",
        "validFrom": "2026-02-27T09:30:15.250Z",
        "validTo": "2026-03-06T09:30:15.250Z",
    }


def test_a_campaign_is_named_by_its_own_id(coupon_reader, shop, staff_browser, now):
    terms = CouponFactory(tenant=shop.tenant, name="Winter", valid_from=now + DAY)
    campaign = CouponCampaignFactory(tenant=shop.tenant, terms=terms, external_id="winter")
    assert ("coupon-campaigns/winter", True, False) in entries(coupon_reader)
    assert terms.code not in coupon_reader.get(CALENDAR).content.decode()
    address = reverse("admin:coupons_couponcampaign_change", args=[campaign.pk])
    start = staff_browser.get(reverse("admin:index")).content.decode()
    assert f'<a href="{address}">Winter</a>' in start


def test_the_range_and_the_site_may_be_named(coupon_reader, service_api, shop, now):
    range_ = {"from": (now + 14 * DAY).isoformat(), "to": (now + 16 * DAY).isoformat()}
    assert entries(coupon_reader, **range_, siteCode="main") == [
        ("later", True, False),
        ("always", False, False),
        ("covers", False, False),
        ("starts", False, False),
    ]
    assert entries(coupon_reader, siteCode="outlet") == [
        ("TEN", True, False),
        ("elsewhere", True, False),
    ]
    assert "TEN" not in [name for name, _, _ in entries(service_api(SEGMENT_READ))]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "tomorrow"}, "from"),
        ({"from": "2026-03-05T00:00:00Z", "to": "2026-03-04T00:00:00Z"}, "from"),
        ({"from": "2026-03-05T00:00:00Z", "to": "2028-03-04T00:00:00Z"}, "to"),
        ({"siteCode": "moon"}, "siteCode"),
    ],
)
def test_a_range_that_cannot_be_shown_says_why(coupon_reader, shop, query, field):
    answer = coupon_reader.get(CALENDAR, **query)
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, field)


def test_a_range_at_the_end_of_time_ends_with_it(coupon_reader, shop):
    answer = coupon_reader.get(CALENDAR, **{"from": "9999-12-31T00:00:00Z"})
    assert (answer.status_code, answer.json()["to"]) == (200, "9999-12-31T23:59:59.999Z")


def test_a_calendar_that_is_cut_says_so(coupon_reader, shop, monkeypatch):
    monkeypatch.setattr(calendar, "MOST_ENTRIES", 2)
    body = coupon_reader.get(CALENDAR).json()
    assert body["complete"] is False
    assert [entry["id"] for entry in body["entries"]] == ["both", "ends", "TEN"]


def test_a_calendar_takes_one_statement_for_each_type(coupon_reader, shop, django_assert_num_queries):
    with django_assert_num_queries(2):
        coupon_reader.get(CALENDAR)


def test_a_calendar_program_reads_each_start_and_end(coupon_reader, shop):
    coupon_reader.headers["Accept-Language"] = "de"
    answer = coupon_reader.get(f"{CALENDAR}.ics")
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    lines = answer.content.decode().split("\r\n")
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert lines[-2:] == ["END:VCALENDAR", ""]
    assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 6
    first = lines.index("UID:segment-ends-ends@acme")
    assert lines[first : first + 4] == [
        "UID:segment-ends-ends@acme",
        "DTSTAMP:20260304T093015Z",
        "DTSTART:20260306T093015Z",
        "SUMMARY:Endet\\, bald ends",
    ]


def test_a_calendar_program_reads_names_in_the_language_that_it_prefers(coupon_reader, shop, now):
    SegmentFactory(
        site=shop, external_id="named", name={"en": "Sale", "fr": "Soldes"}, valid_from=now + 6 * DAY
    )
    coupon_reader.headers["Accept-Language"] = "fr-CH, en;q=0.8"
    text = coupon_reader.get(f"{CALENDAR}.ics").content.decode()
    assert "SUMMARY:Soldes starts\r\n" in text


def test_no_control_character_comes_into_a_calendar(coupon_reader, shop, now):
    name = {"en": "Bell\x07, tab\t, line\nfeed, escape\x1b and delete\x7f"}
    SegmentFactory(site=shop, external_id="controls", name=name, valid_from=now + 6 * DAY)
    text = coupon_reader.get(f"{CALENDAR}.ics").content.decode().replace("\r\n ", "")
    assert "SUMMARY:Bell\\, tab\t\\, line\\nfeed\\, escape and delete starts\r\n" in text


def test_long_lines_are_folded_between_characters():
    parts = list(folded("ä" * 100))
    assert "".join(part.removeprefix(" ") for part in parts) == "ä" * 100
    assert all(len(part.encode()) <= 75 for part in parts)
