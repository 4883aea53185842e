"""A merchandiser makes a coupon in a real browser."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from playwright.sync_api import Page, expect

from accounts.models import Site, User
from core.tenancy.models import Tenant
from coupons.models import Coupon
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import SegmentFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def coupon_page(working_page: Page, merchandiser: User) -> Page:
    """A page of somebody who may keep coupons."""
    codes = [f"{action}_coupon" for action in ("view", "add", "change", "delete")]
    merchandiser.user_permissions.add(*Permission.objects.filter(codename__in=[*codes, "view_redemption"]))
    return working_page


def choose(page: Page, field: str, typed: str, option: str) -> None:
    """Pick a row in a search-as-you-type field."""
    page.locator(f".field-{field} .select2-selection").click()
    page.locator("input.select2-search__field:focus").fill(typed)
    page.locator(".select2-results__option", has_text=option).click()


def test_the_form_shows_what_the_chosen_kind_needs_alone(coupon_page: Page, site: Site) -> None:
    SegmentFactory(site=site, external_id="vip", name={"en": "Regulars"})
    page = coupon_page
    page.goto("/admin/coupons/coupon/add/")

    def row(name: str) -> Any:
        return page.locator(f".form-row.field-{name}")

    for name in ("discount_amount", "discount_currency", "valid_for", "max_redemptions_per_customer"):
        expect(row(name)).to_be_visible()
    for name in ("discount_percentage", "segments", "included_categories", "excluded_categories"):
        expect(row(name)).to_be_hidden()
    page.get_by_label("Discount type").select_option("PERCENT")
    expect(row("discount_amount")).to_be_hidden()
    expect(row("discount_percentage")).to_be_visible()
    page.get_by_label("Only for members of segments").check()
    expect(row("segments")).to_be_visible()
    for name in ("is_category_restricted", "valid_for", "allows_anonymous"):
        expect(row(name)).to_be_hidden()
    page.get_by_label("Name:").fill("Spring")
    page.get_by_label("Code:").fill("spring")
    page.get_by_label("Percentage:").fill("15")
    choose(page, "segments", "Regul", "Regulars")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".success")).to_contain_text("Spring (SPRING)")
    coupon = Coupon.objects.get()
    assert list(coupon.segment_restrictions.values_list("segment_external_id", flat=True)) == ["vip"]


def test_reasons_of_a_refusal_are_a_click_away(coupon_page: Page, tenant: Tenant, site: Site) -> None:
    CustomerFactory(tenant=tenant, external_id="C1", first_name="Ann", last_name="Lee")
    CouponFactory(
        tenant=tenant, code="A", name="Ten", max_redemptions=1, redemption_count=1, valid_for=["C9"]
    )
    page = coupon_page
    page.goto("/admin/coupons/coupon/")
    page.locator("#result_list tbody th a").click()
    expect(page.locator(".coupon-warnings")).to_have_text("All its uses are spent.")
    page.get_by_role("link", name="Why would it be refused?").click()
    choose(page, "customer", "C1", "Ann Lee")
    page.get_by_role("button", name="Judge").click()
    expect(page.locator("#reasons li")).to_have_text(
        [re.compile("as often as it can be"), re.compile("for other customers")]
    )
