"""A merchandiser's tasks in Chromium: in English and German, on a desk and on a phone.

Each counts clicks and page loads, and fails on errors of scripts, on failed requests, and on what axe-core
finds against WCAG.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Permission
from django.utils import timezone
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from accounts.models import Site, User
from coupons.models import Coupon
from segments.models import CustomerAssignment, Segment
from tests.browser.conftest import PASSWORD, PATIENCE, log_in
from tests.factories.accounts import CustomerFactory, UserFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("real_time")]
WCAG = {
    "preload": False,
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}
DAY = timedelta(days=1)


class Hand:
    """Somebody at the page: counts what they click and how many pages they wait for."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.loads = page, 0, 0
        self.is_checking = False
        page.on("load", self._loaded)

    def _loaded(self, page: Page) -> None:
        self.loads += 1

    def start_counting(self) -> None:
        self.page.wait_for_load_state()
        self.clicks = self.loads = 0

    def click(self, target: Locator) -> None:
        self.clicks += 1
        target.click()

    def follow(self, target: Locator) -> None:
        """Click what leads to another page, and wait for that."""
        with self.page.expect_navigation(wait_until="load"):
            self.click(target)

    def fill(self, target: Locator, text: str) -> None:
        """Click into a field and type."""
        self.clicks += 1
        target.fill(text)

    def choose(self, field: str, term: str, choice: str) -> None:
        self.click(self.page.locator(f"#id_{field} + .select2"))
        self.page.locator("input.select2-search__field").last.fill(term)
        self.click(self.page.locator(".select2-results__option", has_text=choice))

    def check(self) -> None:
        """Fail on what axe-core finds on the page as it is now."""
        self.page.wait_for_load_state("networkidle")
        self.is_checking = True  # axe-core brings a style of its own, which the policy blocks
        found = Axe().run(self.page, options=WCAG).response["violations"]
        self.is_checking = False
        assert [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found] == []


@pytest.fixture
def staff(site: Site) -> User:
    """A merchandiser, with all rights of the group and of its neighbours."""
    user = UserFactory(username="merchandiser", tenant=site.tenant)
    user.set_password(PASSWORD)
    user.save()
    curated = ["segment", "customerassignment", "itemassignment", "coupon", "couponsegment", "couponcategory"]
    seen = ["customer", "legalentity", "site", "product", "category", "redemption", "change", "importrun"]
    codes = [f"{action}_{model}" for model in curated for action in ("view", "add", "change", "delete")]
    codes += [f"view_{name}" for name in seen]
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    return user


@pytest.fixture(params=["en-1280", "de-390"])
def hand(request: pytest.FixtureRequest, browser: Browser, live_server: Any, staff: User) -> Iterator[Hand]:
    """Both languages and both widths, logged in, on the start page."""
    language, _dash, width = request.param.partition("-")
    viewport: Any = {"width": int(width), "height": 900}
    context = browser.new_context(base_url=live_server.url, viewport=viewport, locale=language)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    found = Hand(page)

    def note(line: ConsoleMessage) -> None:
        if line.type == "error" and not found.is_checking:
            faults.append(line.text)

    page.on("console", note)
    page.on("response", lambda got: faults.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    log_in(page, staff.username)
    yield found
    context.close()
    assert faults == []


@pytest.fixture
def gold(site: Site) -> Segment:
    """A live segment with a member, a product and a category."""
    segment = SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "Gold"})
    ada = CustomerFactory(
        tenant=site.tenant, external_id="77", first_name="Ada", last_name="Lovelace", email="ada@example.com"
    )
    CustomerAssignmentFactory(segment=segment, customer=ada)
    ItemAssignmentFactory(segment=segment, product=ProductFactory(tenant=site.tenant, name={"en": "Coffee"}))
    food = CategoryFactory(tenant=site.tenant, name={"en": "Food", "de": "Essen"})
    CategoryFactory(parent=food, name={"en": "Fruit", "de": "Obst"})
    ItemAssignmentFactory(segment=segment, product=None, category=food, includes_subcategories=True)
    return segment


def record_of(hand: Hand, segment: Segment) -> None:
    hand.page.goto(f"/admin/segments/segment/{segment.pk}/change/")
    hand.page.wait_for_load_state("networkidle")
    hand.start_counting()


def test_a_a_segment_from_tomorrow_until_christmas(hand: Hand, site: Site) -> None:
    page = hand.page
    page.wait_for_load_state("networkidle")
    hand.start_counting()
    hand.follow(page.locator(".model-segment .addlink"))
    hand.fill(page.locator("[name=name_en]"), "Advent VIP")
    hand.fill(page.locator("[name=name_de]"), "Advent VIP")
    hand.clicks += 1
    page.locator("[name=status]").select_option("ACTIVE")
    hand.fill(page.locator("[name=valid_from_0]"), "tomorrow")
    hand.fill(page.locator("[name=valid_to_0]"), "24.12.2099")
    hand.fill(page.locator("[name=valid_to_1]"), "18:00")
    hand.follow(page.locator("[name=_save]"))
    expect(page.locator(".record-state .status-waiting")).to_be_visible()
    hand.check()
    segment = Segment.objects.get()
    assert (segment.site, segment.status) == (site, "ACTIVE")
    assert segment.valid_from is not None
    assert segment.valid_from.date() == (timezone.now() + DAY).date()
    assert f"{segment.valid_to:%d.%m.%Y %H:%M}" == "24.12.2099 18:00"
    assert (hand.clicks <= 9, hand.loads <= 2) == (True, True), (hand.clicks, hand.loads)


def test_b_customers_by_pasted_e_mails(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    new = CustomerFactory.create_batch(5, tenant=site.tenant)
    record_of(hand, gold)
    hand.follow(page.locator(".record-actions a[href*='members/add']"))
    page.locator("textarea").first.fill(", ".join(one.email for one in new))
    hand.follow(page.locator("[name=_preview]"))
    hand.check()
    hand.follow(page.locator("[name=_apply]"))
    assert CustomerAssignment.objects.filter(segment=gold).count() == 6
    assert hand.clicks <= 3, hand.clicks


def test_d_what_a_customer_sees_and_why(hand: Hand, gold: Segment) -> None:
    page = hand.page
    page.goto("/admin/")
    page.wait_for_load_state("networkidle")
    hand.start_counting()
    page.locator("#find-anything").fill("ada@example.com")
    with page.expect_navigation(wait_until="load"):
        page.locator("#find-anything").press("Enter")
    hand.follow(page.locator(".related-links a[href*='view-as-customer']"))
    expect(page.locator("#preview-segments")).to_contain_text("Gold")
    expect(page.locator("#preview-products")).to_contain_text("Coffee")
    hand.check()
    assert (hand.clicks <= 3, hand.loads <= 2) == (True, True), (hand.clicks, hand.loads)
    hand.follow(page.locator("#preview-products .why"))
    expect(page.locator(".chain .holds")).to_have_count(4)
    later = timezone.now() + 7 * DAY
    page.locator("#id_at_0").fill(f"{later:%d.%m.%Y}")
    page.locator("#id_at_0").press("Enter")
    expect(page.locator("#categories .toggle")).to_be_visible()
    hand.follow(page.locator("#categories .toggle"))
    expect(page.locator("#preview-categories")).to_contain_text(re.compile("Fruit|Obst"))


def test_g_a_coupon_for_the_segment(hand: Hand, gold: Segment) -> None:
    page = hand.page
    record_of(hand, gold)
    hand.follow(page.locator(".record-actions a[href*='coupon/add']"))
    expect(page.locator("#id_segments")).to_have_value(str(gold.pk))
    hand.fill(page.locator("[name=name]"), "Ten off")
    hand.clicks += 1
    page.locator("[name=discount_type]").select_option("PERCENT")
    hand.fill(page.locator("[name=discount_percentage]"), "10")
    hand.follow(page.locator("[name=_save]"))
    coupon = Coupon.objects.get()
    assert [one.segment for one in coupon.segment_restrictions.all()] == [gold]
    assert (hand.clicks <= 9, hand.loads <= 2) == (True, True), (hand.clicks, hand.loads)


def test_j_a_change_is_undone_from_the_start_page(hand: Hand, gold: Segment) -> None:
    page = hand.page
    page.goto("/admin/")
    page.wait_for_load_state("networkidle")
    hand.start_counting()
    hand.follow(page.locator("#panel-changes li button").first)
    expect(page.locator(".messagelist")).to_be_visible()
    assert (hand.clicks <= 2, hand.loads <= 1) == (True, True), (hand.clicks, hand.loads)
    record_of(hand, gold)
    hand.follow(page.locator(".tabs a[href*='journal/change']"))
    expect(page.locator("#result_list")).to_be_visible()
    hand.check()


def test_l_what_starts_ends_and_is_dead(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    now = timezone.now()
    SegmentFactory(site=site, name={"en": "Soon"}, valid_from=now + 3 * DAY)
    SegmentFactory(site=site, name={"en": "Forgotten"}, valid_to=now - 3 * DAY)
    coupon = CouponFactory(tenant=site.tenant, code="DEAD", is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=site, status="INACTIVE"))
    hand.start_counting()
    page.goto("/admin/")
    expect(page.locator("#panel-calendar")).to_contain_text("Soon")
    expect(page.locator("#panel-findings")).to_contain_text("Forgotten")
    expect(page.locator("#panel-findings")).to_contain_text("DEAD")
    expect(page.locator("[data-number=findings]")).not_to_have_text("…")
    hand.check()
    assert (hand.clicks, hand.loads) == (0, 1)
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_a_segment_pass_in_both_schemes(hand: Hand, gold: Segment, scheme: Any) -> None:
    hand.page.emulate_media(color_scheme=scheme)
    for address in (
        f"/admin/segments/segment/{gold.pk}/change/",
        f"/admin/segments/customerassignment/?segment__id__exact={gold.pk}",
        "/admin/",
        "/admin/view-as-customer/",
        "/admin/find/?q=gold",
    ):
        hand.page.goto(address)
        hand.check()
