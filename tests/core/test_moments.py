"""Instants are entered and shown in the time zone of their site, in the formats of the reader's language."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import Site
from core.admin.moments import MomentField, duration_text, in_words, read_date, read_time, shown_moment
from core.json_types import JsonObject
from segments.models import Segment
from tests.factories.accounts import SiteFactory
from tests.factories.segments import SegmentFactory

TODAY = date(2026, 11, 28)
BERLIN = ZoneInfo("Europe/Berlin")
HOME = {"address": {"zipCode": "10115", "country": "DE"}, "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("reader", "days", "expected"),
    [
        ("en", 2, "2 days"),
        ("de", 1, "1 Tag"),
        ("de", 2, "2 Tagen"),  # "beginnt in 2 Tagen"
        ("de", 15, "2 Wochen"),
        ("de", 70, "2 Monaten"),
        ("de", 800, "2 Jahren"),
    ],
)
def test_durations_follow_a_preposition(reader: str, days: int, expected: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with translation.override(reader):
        assert duration_text(at, at + timedelta(days=days)).replace("\xa0", " ") == expected


@pytest.mark.parametrize(
    ("reader", "text", "expected"),
    [
        ("en", "2026-12-24", date(2026, 12, 24)),
        ("en", "24.12.2026", date(2026, 12, 24)),
        ("de", "24. 12. 2026", date(2026, 12, 24)),
        ("de", "2026-12-24", date(2026, 12, 24)),
        ("en", "24 Dec 2026", date(2026, 12, 24)),
        ("en", "December 24, 2026", date(2026, 12, 24)),
        ("de", "24. Dezember 2026", date(2026, 12, 24)),
        ("de", "1. März 2027", date(2027, 3, 1)),
        ("en", "12/24/2026", date(2026, 12, 24)),
        ("en", "24/12/2026", date(2026, 12, 24)),
        ("en", "05/05/2027", date(2027, 5, 5)),
        ("en", "tomorrow", date(2026, 11, 29)),
        ("de", "Morgen", date(2026, 11, 29)),
        ("de", "heute", TODAY),
    ],
)
def test_days_are_read(reader: str, text: str, expected: date) -> None:
    with translation.override(reader):
        assert read_date(text, TODAY) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-02-30", "31.11.2026", "0001-01-01", "9999-12-31", "1 Foo 2026", "9" * 50]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read_date(text, TODAY)


def test_a_day_that_could_be_two_is_refused_with_both() -> None:
    with pytest.raises(ValidationError) as refused:
        read_date("05/06/2027", TODAY)
    assert refused.value.messages == ["This date can mean two days. Write it as 2027-05-06 or as 2027-06-05."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:00", time(18)),
        ("6 pm", time(18)),
        ("12 am", time(0)),
        ("6:30 p.m.", time(18, 30)),
        ("18.30", time(18, 30)),
        ("18 Uhr", time(18)),
        ("23:59:59.999", time(23, 59, 59, 999_000)),
    ],
)
def test_times_are_read(text: str, expected: time) -> None:
    assert read_time(text) == expected


@pytest.mark.parametrize("text", ["25:00", "noonish", "13 pm", "18:60"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read_time(text)


def test_a_day_without_a_time_is_its_midnight_and_as_an_end_its_last_moment() -> None:
    start, end = MomentField(), MomentField(is_end=True)
    for field in (start, end):
        field.use_zone(BERLIN)
    assert start.clean(["2026-12-24", ""]) == datetime(2026, 12, 24, tzinfo=BERLIN)
    assert end.clean(["2026-12-24", ""]) == datetime(2026, 12, 24, 23, 59, 59, 999_000, tzinfo=BERLIN)
    with pytest.raises(ValidationError, match="Enter the date as well"):
        start.clean(["", "18:00"])


def test_an_hour_that_a_zone_leaves_out_is_refused() -> None:
    field = MomentField()
    field.use_zone(BERLIN)
    with pytest.raises(ValidationError, match="put forward"):
        field.clean(["2027-03-28", "02:30"])


@pytest.mark.parametrize(
    ("zone", "day", "first", "last"),
    [
        # clocks are put forward at midnight: the first moment is 01:00
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", "2026-09-07T02:59:59.999Z"),
        # clocks are put back at midnight: 23:59 comes twice
        ("America/Santiago", "2026-04-04", "2026-04-04T03:00:00Z", "2026-04-05T03:59:59.999Z"),
        # clocks are put back at one o'clock: midnight comes twice
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T04:59:59.999Z"),
        # clocks are put forward to midnight: the last moment is before 23:00
        ("America/Nuuk", "2026-03-28", "2026-03-28T02:00:00Z", "2026-03-29T00:59:59.999Z"),
    ],
)
def test_a_day_begins_and_ends_also_where_clocks_change_at_midnight(
    zone: str, day: str, first: str, last: str
) -> None:
    start, end = MomentField(), MomentField(is_end=True)
    for field, expected in ((start, first), (end, last)):
        field.use_zone(ZoneInfo(zone))
        moment = field.clean([day, ""])
        assert moment == datetime.fromisoformat(expected)
        shown = field.widget.decompress(moment)
        assert str(shown[0]) == day


@pytest.mark.parametrize("text", ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:30:07.5Z"])
def test_what_clocks_show_twice_is_shown_and_read_with_its_offset(text: str) -> None:
    field = MomentField()
    field.use_zone(BERLIN)
    moment = datetime.fromisoformat(text)
    day, clock = field.widget.decompress(moment)
    entered = [str(day), field.widget.widgets[1].format_value(clock)]
    assert field.clean(entered) == moment
    assert not field.has_changed(moment, entered)


def test_a_time_that_clocks_show_twice_is_refused_with_both() -> None:
    field = MomentField()
    field.use_zone(BERLIN)
    with pytest.raises(ValidationError) as refused:
        field.clean(["2026-10-25", "02:30"])
    assert refused.value.messages == [
        "Clocks show this time twice on that day. Write it as 02:30 +02:00 or as 02:30 +01:00."
    ]


@pytest.mark.parametrize(
    "text", ["02:30 +99:00", "18:00 +01:00 +02:00", "9:00-17:00", "10:00-12:00", ":00" * 20_000 + " x"]
)
def test_what_is_no_time_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="Enter a time"):
        read_time(text)


def test_moments_are_shown_with_utc_in_the_tooltip_and_in_words() -> None:
    moment = datetime(2026, 12, 24, 17, tzinfo=UTC)
    shown = shown_moment(moment, BERLIN)
    assert 'title="2026-12-24 17:00 UTC"' in shown
    assert "24 Dec 2026, 18:00 CET" in shown
    assert in_words(moment, BERLIN) == "Thursday, 24 December 2026, 18:00 CET"
    with translation.override("de"):
        assert "24. Dez 2026, 18:00 CET" in shown_moment(moment, BERLIN)
        assert in_words(moment, BERLIN) == "Donnerstag, 24. Dezember 2026, 18:00 CET"


@pytest.fixture
def berlin(site: Site) -> Site:
    Site.objects.filter(pk=site.pk).update(home_base=HOME)
    site.refresh_from_db()
    return site


def fields_of(page: Any) -> JsonObject:
    form = page.context["adminform"].form
    return {name: form[name].value() for name in form.fields}


def test_a_segment_is_entered_and_shown_in_its_sites_time(staff_browser: Client, berlin: Site) -> None:
    entered = {
        "external_id": "advent",
        "name_en": "Advent",
        "site": berlin.pk,
        "status": "ACTIVE",
        "valid_from_0": "29.11.2026",
        "valid_to_0": "2026-12-24",
        "valid_to_1": "18:00",
        "mixins": "",
        "mixin_schemas": "{}",
    }
    staff_browser.post(reverse("admin:segments_segment_add"), entered)
    segment = Segment.objects.get()
    assert segment.valid_from == datetime(2026, 11, 28, 23, tzinfo=UTC)
    assert segment.valid_to == datetime(2026, 12, 24, 17, tzinfo=UTC)
    page = staff_browser.get(reverse("admin:segments_segment_change", args=[segment.pk])).content.decode()
    assert "Thursday, 24 December 2026, 18:00 CET" in page
    assert 'value="2026-12-24"' in page
    assert 'value="18:00"' in page
    assert '<label class="visually-hidden" for="id_valid_to_0">Date</label>' in page
    listed = staff_browser.get(reverse("admin:segments_segment_changelist")).content.decode()
    assert 'title="2026-12-24 17:00 UTC">24 Dec 2026, 18:00 CET</time>' in listed


def test_a_site_with_a_zone_of_its_own_keeps_it(staff_browser: Client, berlin: Site) -> None:
    tokyo = SiteFactory(tenant=berlin.tenant, code="jp", home_base={**HOME, "timezone": "Asia/Tokyo"})
    plain = SiteFactory(tenant=berlin.tenant, code="plain")
    end = datetime(2026, 12, 24, 17, tzinfo=UTC)
    for site, shown in ((tokyo, "25 Dec 2026, 02:00 JST"), (plain, "24 Dec 2026, 18:00 CET")):
        segment = SegmentFactory(site=site, valid_to=end)
        listed = staff_browser.get(reverse("admin:segments_segment_changelist"), {"site__id__exact": site.pk})
        assert shown in listed.content.decode()
        page = staff_browser.get(reverse("admin:segments_segment_change", args=[segment.pk]))
        assert shown.split(", ")[1][:5] in page.content.decode()


def test_saving_a_form_as_it_was_shown_changes_no_instant(staff_browser: Client, berlin: Site) -> None:
    end = datetime(2026, 12, 24, 17, 0, 1, 500_000, tzinfo=UTC)
    segment = SegmentFactory(site=berlin, valid_to=end, name={"en": "A"}, mixins=None)
    page = reverse("admin:segments_segment_change", args=[segment.pk])
    form = staff_browser.get(page).context["adminform"].form
    parts = form.fields["valid_to"].widget.decompress(form["valid_to"].value())
    posted = {
        "name_en": "A",
        "site": berlin.pk,
        "status": segment.status,
        "valid_to_0": parts[0].isoformat(),
        "valid_to_1": form.fields["valid_to"].widget.widgets[1].format_value(parts[1]),
        "mixins": "",
        "mixin_schemas": "{}",
    }
    assert staff_browser.post(page, posted).status_code == 302
    assert Segment.objects.get().valid_to == end


def test_the_zone_is_part_of_the_sites_form(staff_browser: Client, site: Site) -> None:
    Site.objects.filter(pk=site.pk).update(home_base={"address": HOME["address"]})
    page = reverse("admin:accounts_site_change", args=[site.pk])
    form = staff_browser.get(page).context["adminform"].form
    assert form["time_zone"].value() == ""
    posted = {name: value for name, value in fields_of(staff_browser.get(page)).items() if value is not None}
    posted |= {
        "languages": "en",
        "time_zone": "Europe/Berlin",
        "home_base": json.dumps({"address": HOME["address"]}),
    }
    posted |= {"settings": "{}", "mixins": "{}", "mixin_schemas": "{}", "available_currencies": "EUR"}
    posted |= {"ship_to_countries": "DE", "is_active": "on", "is_default": "on"}
    response = staff_browser.post(page, posted)
    assert response.status_code == 302, response.context["adminform"].form.errors
    site.refresh_from_db()
    assert site.home_base == HOME
    assert site.time_zone == BERLIN


def test_the_only_site_is_preset(staff_browser: Client, site: Site) -> None:
    page = reverse("admin:segments_segment_add")
    assert staff_browser.get(page).context["adminform"].form["site"].value() == site.pk
    SiteFactory(tenant=site.tenant, code="second")
    assert staff_browser.get(page).context["adminform"].form["site"].value() is None
