"""A form that is saved as it was shown changes nothing but the version, whatever clients have stored."""

import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client
from django.urls import reverse

from accounts.models import Site
from coupons.models import Coupon
from segments.models import Segment
from tests.admin_forms import shown_form
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
COUNTED = {"version", "modified_at"}


def page_of(row: models.Model, page: str) -> str:
    options = row._meta
    name = f"admin:{options.app_label}_{options.model_name}_{page}"
    return reverse(name) if page == "changelist" else reverse(name, args=[row.pk])


def columns_of(row: models.Model) -> dict[str, str]:
    """Return the columns as JSON, since Python takes 1 and 1.0 for the same."""
    row.refresh_from_db()
    return {
        field.name: json.dumps(getattr(row, field.attname), default=str)
        for field in row._meta.concrete_fields
        if field.name not in COUNTED
    }


def assert_saving_changes_nothing(browser: Client, row: models.Model) -> None:
    before = columns_of(row)
    answer = browser.post(page_of(row, "change"), shown_form(browser, page_of(row, "change")))
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert columns_of(row) == before


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\r\nb", "a\rb", "\na", "a\n", " a ", "a\u2028b", "a\tb", "\u202ea", "a\u200bb", "<b>&amp;'\""],
)
def test_texts_are_kept(staff_browser: Client, site: Site, text: str) -> None:
    texts = {"en": text, "fr": text, "de": ""}
    assert_saving_changes_nothing(staff_browser, SegmentFactory(site=site, name=texts, description=texts))
    assert_saving_changes_nothing(
        staff_browser, CouponFactory(tenant=site.tenant, name=text, description=text)
    )


def test_ends_of_lines_count_once(staff_browser: Client, site: Site) -> None:
    text = "a\n" * 4_999 + "ab"  # as long as a description may be
    assert_saving_changes_nothing(staff_browser, SegmentFactory(site=site, description={"en": text}))


def test_texts_that_are_changed_have_line_feeds(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, name={"en": "A"}, description={"en": "a\nb", "de": "c\nd"})
    coupon = CouponFactory(tenant=site.tenant, description="a\nb")
    values = shown_form(staff_browser, page_of(segment, "change")) | {"description_en": "a\r\nB\r\n"}
    staff_browser.post(page_of(segment, "change"), values)
    assert Segment.objects.get().description == {"en": "a\nB", "de": "c\nd"}
    values = shown_form(staff_browser, page_of(coupon, "change")) | {"description": "a\r\nB"}
    staff_browser.post(page_of(coupon, "change"), values)
    assert Coupon.objects.get().description == "a\nB"


def test_a_text_that_is_cleared_leaves_the_map(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, name={"en": "Gold", "de": "Gold"}, description={"en": "a"})
    values = shown_form(staff_browser, page_of(segment, "change")) | {"name_de": "", "description_en": ""}
    staff_browser.post(page_of(segment, "change"), values)
    segment.refresh_from_db()
    assert (segment.name, segment.description or {}) == ({"en": "Gold"}, {})


def test_blanks_within_lines_are_a_change(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, description={"en": "a\nb"})
    values = shown_form(staff_browser, page_of(segment, "change")) | {"description_en": "ab"}
    staff_browser.post(page_of(segment, "change"), values)
    assert Segment.objects.get().description == {"en": "ab"}


@pytest.mark.parametrize(
    "mixins",
    [
        {"a": 1.0, "b": 1e22, "c": 12345678901234567890, "d": -0.0, "e": 0.1},
        {"": {"": 1}, "a.b": {"c d": None}, "ü": "\u2028😀"},
        {"a": "x\ny\r\nz", "b": "</textarea><script>"},
    ],
)
def test_free_attributes_are_kept(staff_browser: Client, site: Site, mixins: dict[str, object]) -> None:
    assert_saving_changes_nothing(staff_browser, SegmentFactory(site=site, mixins=mixins))


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_windows_are_kept_to_the_ends_of_time(staff_browser: Client, site: Site, zone: str) -> None:
    home = {"address": {"zipCode": "10115", "country": "DE"}, "timezone": zone}
    Site.objects.filter(pk=site.pk).update(home_base=home)
    window = {"valid_from": FIRST, "valid_to": LAST}
    segment = SegmentFactory(site=site, **window)
    rows = [
        segment,
        CustomerAssignmentFactory(segment=segment, **window),
        ItemAssignmentFactory(segment=segment, **window),
        CouponFactory(tenant=site.tenant, **window),
        CategoryFactory(tenant=site.tenant, **window),
    ]
    for row in rows:
        assert_saving_changes_nothing(staff_browser, row)
        for page in ("changelist", "history", "delete"):
            assert staff_browser.get(page_of(row, page)).status_code == 200
    reader = UserFactory(tenant=site.tenant)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    browser = web_client()
    browser.force_login(reader)
    for row in rows:
        assert browser.get(page_of(row, "change")).status_code == 200
    for moment in (FIRST, LAST):
        RedemptionFactory(coupon=rows[3], redeemed_at=moment)
    for address in ("admin:coupons_redemption_changelist", "admin:journal_change_changelist", "admin:index"):
        assert staff_browser.get(reverse(address)).status_code == 200
