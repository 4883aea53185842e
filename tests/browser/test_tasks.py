"""The twelve tasks of a merchandiser in Chromium, each in exactly the clicks and page loads that it takes.

In English and German, on a desk and on a phone (the quick suite: English on a desk, German on a phone);
errors of scripts, failed requests and what axe-core finds fail.
A click into a field before typing counts, as does each choice of a list that searches.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.apps import apps
from django.contrib.auth.models import Group
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import Customer, Site, User
from catalog.models import Category
from coupons.models import Coupon
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.browser.conftest import PATIENCE
from tests.conftest import Clock
from tests.factories.accounts import CustomerFactory, UserFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("real_time")]
make_groups = import_module("accounts.migrations.0009_staff_groups").make_groups
show_activity = import_module("accounts.migrations.0010_groups_see_activity").show_activity
extend_groups = import_module("accounts.migrations.0012_groups_of_webhooks_and_campaigns").extend_groups
WCAG = {
    "preload": False,
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}
DAY = timedelta(days=1)
QUICK, REST = ("en-1280", "de-390"), ("en-390", "de-1280")


class Hand:
    """Somebody at the page: counts what they click and how many pages they wait for."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.loads = page, 0, 0
        self.faults: list[str] = []
        self.unanswered: set[Request] = set()
        self.is_checking = False
        page.on("load", self._loaded)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._said)
        page.on("request", lambda request: self.unanswered.add(request))
        page.on("requestfinished", lambda request: self.unanswered.discard(request))
        page.on("requestfailed", self._failed)
        page.on(
            "response",
            lambda got: self.faults.append(f"{got.status} {got.url}") if got.status >= 400 else None,
        )

    def _loaded(self, page: Page) -> None:
        self.loads += 1

    def _said(self, line: ConsoleMessage) -> None:
        if line.type == "error" and not self.is_checking:
            self.faults.append(line.text)

    def _failed(self, request: Request) -> None:
        self.unanswered.discard(request)
        if request.failure != "net::ERR_ABORTED":  # by a click that left the page before it was answered
            self.faults.append(f"failed: {request.url}")

    def start(self, address: str) -> None:
        """Open the page that a task begins on; from there on clicks and loads count."""
        self.page.goto(address)
        self.wait()
        self.clicks = self.loads = 0

    def wait(self) -> None:
        """Wait until the page is loaded and what its scripts ask for is answered."""
        self.page.wait_for_load_state("load")
        quiet, until = 0, time.monotonic() + PATIENCE / 1_000
        while quiet < 3:
            assert time.monotonic() < until, [one.url for one in self.unanswered]
            self.page.wait_for_timeout(20)
            quiet = 0 if self.unanswered else quiet + 1

    @property
    def taken(self) -> tuple[int, int]:
        """Clicks and page loads since the start."""
        return self.clicks, self.loads

    def click(self, target: Locator) -> None:
        self.clicks += 1
        target.click()

    def follow(self, target: Locator) -> None:
        """Click what leads to another page, and wait for that."""
        with self.page.expect_event("load"):
            self.click(target)

    def enter(self, target: Locator) -> None:
        """Send a form by the key Enter, and wait for the page."""
        with self.page.expect_event("load"):
            target.press("Enter")

    def fill(self, target: Locator, text: str) -> None:
        """Click into a field and type."""
        self.clicks += 1
        target.fill(text)

    def pick(self, target: Locator, value: str) -> None:
        """Choose from a closed list."""
        self.clicks += 1
        target.select_option(value)

    def choose(self, field: str, term: str, choice: str) -> None:
        """Open a list that searches, type and choose."""
        self.click(self.page.locator(f"#{field} + .select2"))
        self.page.locator("input.select2-search__field").last.fill(term)
        self.click(self.page.locator(".select2-results__option", has_text=choice))

    def check(self) -> None:
        """Fail on what axe-core finds on the page as it is now, and where it is wider than the screen."""
        self.wait()
        self.is_checking = True  # axe-core brings a style of its own, which the policy blocks
        found = Axe().run(self.page, options=WCAG).response["violations"]
        self.is_checking = False
        assert [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found] == []
        assert (
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            <= 0
        ), self.page.url


@pytest.fixture
def staff(site: Site) -> User:
    """A merchandiser who may keep categories, too."""
    make_groups(apps)
    show_activity(apps)
    extend_groups(apps)
    user = UserFactory(username="merchandiser", tenant=site.tenant)
    user.groups.set(Group.objects.filter(name__in=["Merchandiser", "Catalogue manager"]))
    return user


@pytest.fixture(
    scope="module",
    params=[
        "en-1280",
        "de-390",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("en-390", "de-1280")),
    ],
)
def screen(
    request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer
) -> Iterator[BrowserContext]:
    """A language and a width."""
    language, _dash, width = request.param.partition("-")
    viewport: Any = {"width": int(width), "height": 900}
    context = browser.new_context(base_url=live_server.url, viewport=viewport, locale=language)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def hand(screen: BrowserContext, live_server: LiveServer, staff: User, client: Any) -> Iterator[Hand]:
    """Somebody who has logged in."""
    client.force_login(staff)
    screen.clear_cookies()
    screen.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    found = Hand(screen.new_page())
    yield found
    found.page.close()
    assert found.faults == []


@pytest.fixture
def gold(site: Site) -> Segment:
    """A live segment with a member, a product and a category."""
    segment = SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "Gold"})
    ada = CustomerFactory(
        tenant=site.tenant, external_id="77", first_name="Ada", last_name="Lovelace", email="ada@example.com"
    )
    CustomerAssignmentFactory(segment=segment, customer=ada)
    ItemAssignmentFactory(segment=segment, product=ProductFactory(tenant=site.tenant, name={"en": "Coffee"}))
    food = CategoryFactory(tenant=site.tenant, external_id="food", name={"en": "Food", "de": "Essen"})
    CategoryFactory(parent=food, external_id="fruit", name={"en": "Fruit", "de": "Obst"})
    ItemAssignmentFactory(segment=segment, product=None, category=food, includes_subcategories=True)
    return segment


def record(segment: Segment) -> str:
    return f"/admin/segments/segment/{segment.pk}/change/"


def members(segment: Segment) -> str:
    return f"/admin/segments/customerassignment/?segment__id__exact={segment.pk}"


def test_a_a_segment_from_tomorrow_until_christmas(hand: Hand, site: Site) -> None:
    page = hand.page
    hand.start("/admin/")
    hand.follow(page.locator(".model-segment .addlink"))
    hand.fill(page.locator("[name=name_en]"), "Advent VIP")
    hand.fill(page.locator("[name=name_de]"), "Advent VIP")
    hand.pick(page.locator("[name=status]"), "ACTIVE")
    hand.fill(page.locator("[name=valid_from_0]"), "tomorrow")
    hand.fill(page.locator("[name=valid_to_0]"), "24.12.2099")
    hand.fill(page.locator("[name=valid_to_1]"), "18:00")
    hand.follow(page.locator("[name=_save]"))
    assert hand.taken == (8, 2)
    expect(page.locator(".record-state .status-waiting")).to_be_visible()
    hand.check()
    segment = Segment.objects.get()
    assert (segment.site, segment.status) == (site, "ACTIVE")
    assert segment.valid_from is not None
    assert segment.valid_from.date() == (timezone.now() + DAY).date()
    assert segment.valid_to == datetime(2099, 12, 24, 18, tzinfo=UTC)


def test_b_customers_by_pasted_e_mails(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    new = CustomerFactory.create_batch(50, tenant=site.tenant)
    hand.start(record(gold))
    hand.click(page.locator(".record-actions [data-dialog=dialog-members]"))
    expect(page.locator("#members_pasted")).to_be_focused()
    hand.check()
    page.locator("#members_pasted").fill(", ".join(one.email for one in new))
    hand.follow(page.locator("#dialog-members [name=_preview]"))
    hand.check()
    hand.follow(page.locator("[name=_apply]"))
    assert hand.taken == (3, 2)
    assert CustomerAssignment.objects.filter(segment=gold).count() == 51
    hand.follow(page.locator(".messagelist button"))
    assert CustomerAssignment.objects.filter(segment=gold).count() == 1


def test_c_a_product_and_a_category_by_name(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    ProductFactory(tenant=site.tenant, name={"en": "Tea"})
    CategoryFactory(tenant=site.tenant, name={"en": "Drinks", "de": "Drinks"})
    hand.start(record(gold))
    hand.follow(page.locator(".tabs a[href*=itemassignment]"))
    hand.choose("id_one-product", "Tea", "Tea")
    hand.follow(page.locator(".add-one [type=submit]"))
    assert hand.taken == (4, 2)
    hand.start(record(gold))
    hand.follow(page.locator(".tabs a[href*=itemassignment]"))
    hand.choose("id_one-category", "Dri", "Drinks")
    hand.click(page.locator("#id_one-includes_subcategories"))
    hand.follow(page.locator(".add-one [type=submit]"))
    assert hand.taken == (5, 2)
    expect(page.locator(".tabs [aria-current]")).to_have_attribute("href", re.compile("itemassignment"))
    hand.check()
    added = ItemAssignment.objects.filter(segment=gold).order_by("-pk")[:2]
    names = [(str((one.product or one.category).name["en"]), one.includes_subcategories) for one in added]  # type: ignore[union-attr]
    assert names == [("Drinks", True), ("Tea", False)]


def test_d_what_a_customer_sees_next_week_and_why(hand: Hand, gold: Segment) -> None:
    page = hand.page
    later = timezone.now() + 7 * DAY
    hand.start("/admin/")
    hand.follow(page.locator(".view-as"))
    expect(page.locator("#id_customer + .select2 .select2-selection")).to_be_focused()
    page.keyboard.type("ada")
    expect(page.locator("input.select2-search__field")).to_have_value("ada")
    hand.click(page.locator(".select2-results__option", has_text="Ada Lovelace"))
    hand.fill(page.locator("#id_at_0"), f"{later:%d.%m.%Y}")
    hand.enter(page.locator("#id_at_0"))
    assert hand.taken == (3, 2)
    expect(page.locator("#preview-segments")).to_contain_text("Gold")
    expect(page.locator("#preview-products")).to_contain_text("Coffee")
    hand.check()
    hand.follow(page.locator("#preview-products .why"))
    expect(page.locator(".chain .holds")).to_have_count(4)
    expect(page.locator("#categories .toggle")).to_be_visible()
    hand.follow(page.locator("#categories .toggle"))
    expect(page.locator("#preview-categories")).to_contain_text(re.compile("Fruit|Obst"))


@pytest.mark.parametrize("way", ["number", "search", "filter"])
def test_e_members_are_removed_by_a_filter(hand: Hand, site: Site, gold: Segment, way: str) -> None:
    page = hand.page
    over = timezone.now() - DAY
    for name in ("Zoe", "Zora"):
        customer = CustomerFactory(tenant=site.tenant, first_name=name)
        CustomerAssignmentFactory(segment=gold, customer=customer, valid_to=over)
    match way:
        case "number":
            hand.start(record(gold))
            hand.follow(page.locator(".facts.numbers a[href*='counts=no']"))
        case "search":
            hand.start(record(gold))
            hand.check()
            hand.fill(page.locator("#find-member"), "zo")
            hand.enter(page.locator("#find-member"))
        case _:
            hand.start(members(gold))
            hand.follow(page.locator("#changelist-filter a[href*='counts=no']"))
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    hand.click(page.locator("#action-toggle"))
    hand.check()
    hand.follow(page.locator(".actions button.danger"))
    assert hand.taken == (3, 2)
    [left] = CustomerAssignment.objects.all()
    assert left.customer.external_id == "77"
    hand.follow(page.locator(".messagelist button"))
    assert CustomerAssignment.objects.count() == 3


@pytest.mark.parametrize(("operation", "numbers"), [("copy", {"1", "2"}), ("minus", {"1"})])
def test_f_segments_are_copied_united_intersected_and_subtracted(
    hand: Hand, site: Site, operation: str, numbers: set[str]
) -> None:
    page = hand.page
    one, two, three = (CustomerFactory(tenant=site.tenant, external_id=number) for number in "123")
    gold, silver = (SegmentFactory(site=site, name={"en": name}) for name in ("Gold", "Silver"))
    for segment, customer in ((gold, one), (gold, two), (silver, two), (silver, three)):
        CustomerAssignmentFactory(segment=segment, customer=customer)
    hand.start(members(gold))
    hand.follow(page.locator(".list-tools a[href*=combine]"))
    if operation != "copy":
        hand.choose("id_other", "Sil", "Silver")
    hand.follow(page.locator(f"button[name=operation][value={operation}]"))
    expect(page.locator(".facts strong").first).to_have_text(str(len(numbers)))
    hand.check()
    hand.follow(page.locator("[name=_apply]"))
    assert hand.taken == ((3, 3) if operation == "copy" else (5, 3))
    made = Segment.objects.exclude(pk__in=[gold.pk, silver.pk]).get()
    assert set(made.customer_assignments.values_list("customer__external_id", flat=True)) == numbers


def test_g_a_coupon_for_the_segment_and_who_could_redeem_it(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    CustomerFactory(tenant=site.tenant, external_id="88", first_name="Bob", last_name="Byte")
    hand.start(record(gold))
    hand.follow(page.locator(".record-actions a[href*='coupon/add']"))
    expect(page.locator("#id_segments")).to_have_value(str(gold.pk))
    hand.fill(page.locator("[name=name]"), "Ten off")
    hand.pick(page.locator("[name=discount_type]"), "PERCENT")
    hand.fill(page.locator("[name=discount_percentage]"), "10")
    hand.follow(page.locator("[name=_save]"))
    assert hand.taken == (5, 2)
    coupon = Coupon.objects.get()
    assert [one.segment for one in coupon.segment_restrictions.all()] == [gold]
    hand.start(f"/admin/coupons/coupon/{coupon.pk}/change/")
    expect(page.locator(".redeemers")).to_contain_text("Gold (gold) 1")
    hand.check()
    hand.choose("id_customer", "88", "Bob Byte")
    hand.follow(page.locator(".redeemers button"))
    assert hand.taken == (3, 1)
    expect(page.locator("#reasons li")).to_have_count(1)
    hand.check()


def test_h_the_effect_is_seen_before_deleting(hand: Hand, gold: Segment) -> None:
    page = hand.page
    hand.start(record(gold))
    hand.follow(page.locator(".record-actions a[href*=delete]"))
    assert hand.taken == (1, 1)
    expect(page.locator(".effects li").first).to_contain_text("1")
    hand.check()
    page.locator("#typed-name").fill("Gold")
    hand.follow(page.locator("[name=_confirmed]"))
    assert not Segment.objects.exists()
    hand.follow(page.locator(".messagelist button"))
    assert CustomerAssignment.objects.filter(segment__external_id="gold").count() == 1


def test_i_a_category_is_moved_after_its_effect_was_seen(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    CategoryFactory(tenant=site.tenant, external_id="drinks", name={"en": "Drinks", "de": "Drinks"})
    hand.start("/admin/catalog/category/")
    start = page.locator("tr", has_text="(food)").locator(".drag-handle").bounding_box()
    target = page.locator("tr", has_text="(drinks)").bounding_box()
    assert start is not None
    assert target is not None
    hand.clicks += 1  # a drag
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(target["x"] + 60, target["y"] + target["height"] / 2, steps=8)
    page.mouse.up()
    question = page.locator("dialog[open]")
    expect(question.locator(".facts").first).to_be_visible()
    hand.check()
    hand.follow(question.locator("[type=submit]"))
    assert hand.taken == (2, 1)
    assert Category.objects.get(external_id="food").parent.external_id == "drinks"  # type: ignore[union-attr]
    hand.follow(page.locator(".messagelist button"))
    assert Category.objects.get(external_id="food").level == 1


def test_j_who_changed_what_and_back(hand: Hand, gold: Segment) -> None:
    page = hand.page
    hand.start("/admin/")
    hand.follow(page.locator("#panel-changes li button").first)
    assert hand.taken == (1, 1)
    expect(page.locator(".messagelist")).to_be_visible()
    hand.start(record(gold))
    hand.follow(page.locator(".tabs a[href*='journal/change']"))
    assert hand.taken == (1, 1)
    expect(page.locator(".tabs [aria-current]")).to_have_attribute("href", re.compile("journal"))
    expect(page.locator("#result_list tbody tr").first).to_be_visible()
    hand.check()
    rows = ItemAssignment.objects.count()
    hand.follow(page.locator("#result_list button").first)
    assert hand.taken == (2, 2)
    assert ItemAssignment.objects.count() != rows


def test_j_whether_a_customer_was_a_member_on_a_day(hand: Hand, gold: Segment, clock: type[Clock]) -> None:
    page = hand.page
    member = gold.customer_assignments.get()
    then = datetime.now(UTC)  # as the journal's triggers see it
    member.delete()
    clock.at = datetime.now(UTC)
    hand.start(f"/admin/view-as-customer/?customer={member.customer_id}")
    expect(page.locator("#preview-segments")).to_be_visible()
    expect(page.locator("#preview-segments")).not_to_contain_text("Gold")
    hand.fill(page.locator("#id_at_0"), f"{then:%d.%m.%Y}")
    hand.fill(page.locator("#id_at_1"), f"{then:%H:%M:%S.%f}")
    hand.enter(page.locator("#id_at_1"))
    assert hand.taken == (2, 1)
    membership = page.locator(".memberships li", has_text="Gold")
    expect(membership.locator(".status-on")).to_be_visible()
    hand.check()


def test_k_a_file_of_members_is_uploaded_and_taken_back(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    new = CustomerFactory.create_batch(3, tenant=site.tenant)
    lines = ["customerId;validity.to", *(f"{one.external_id};2099-12-24" for one in new), "nobody;"]
    file: Any = {"name": "members.csv", "mimeType": "text/csv", "buffer": "\r\n".join(lines).encode()}
    hand.start(record(gold))
    hand.click(page.locator(".record-actions [data-dialog=dialog-members]"))
    hand.clicks += 1  # of the button that opens the system's own dialog
    page.locator("#members_upload").set_input_files(file)
    hand.follow(page.locator("#dialog-members [name=_preview]"))
    expect(page.locator(".facts .new strong")).to_have_text("3")
    expect(page.locator(".facts .unknown strong")).to_have_text("1")
    hand.follow(page.locator("[name=_apply]"))
    assert hand.taken == (4, 2)
    added = CustomerAssignment.objects.filter(
        segment=gold, customer__in=Customer.objects.filter(pk__in=[one.pk for one in new])
    )
    assert {f"{one.valid_to:%Y-%m-%d}" for one in added} == {"2099-12-24"}
    hand.check()
    hand.clicks = hand.loads = 0
    hand.follow(page.locator(".messagelist button"))
    assert hand.taken == (1, 1)
    assert CustomerAssignment.objects.get(segment=gold).customer.external_id == "77"


def test_l_what_starts_ends_and_is_dead(hand: Hand, site: Site, gold: Segment) -> None:
    page = hand.page
    now = timezone.now()
    SegmentFactory(site=site, name={"en": "Soon"}, valid_from=now + 3 * DAY)
    SegmentFactory(site=site, name={"en": "Forgotten"}, valid_to=now - 3 * DAY)
    coupon = CouponFactory(tenant=site.tenant, code="DEAD", is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=site, status="INACTIVE"))
    page.goto("/admin/")
    expect(page.locator("#panel-calendar")).to_contain_text("Soon")
    name = page.locator("#panel-calendar tbody th").first.bounding_box()
    assert name is not None
    assert name["width"] > 100  # a name is read in lines, not in letters
    expect(page.locator("#panel-findings")).to_contain_text("Forgotten")
    expect(page.locator("#panel-findings")).to_contain_text("DEAD")
    expect(page.locator("[data-number=findings]")).not_to_have_text("…")
    assert hand.taken == (0, 1)
    hand.check()


def test_pages_pass_in_the_dark(hand: Hand, gold: Segment) -> None:
    hand.page.emulate_media(color_scheme="dark")
    coupon = CouponFactory(tenant=gold.tenant, is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=gold)
    RedemptionFactory(coupon=coupon, redeemed_at=timezone.now())
    for address in (
        f"/admin/coupons/report/?segment={gold.pk}",
        record(gold),
        members(gold),
        "/admin/",
        "/admin/view-as-customer/",
        "/admin/find/?q=gold",
    ):
        hand.page.goto(address)
        hand.check()


def test_long_filters_are_folded_on_a_phone_until_they_are_opened(hand: Hand, gold: Segment) -> None:
    page = hand.page
    page.goto("/admin/journal/change/")
    filters = page.locator("#changelist-filter details")
    assert page.viewport_size is not None
    is_phone = page.viewport_size["width"] < 768
    kind, time = filters.nth(2), filters.nth(3)
    expect(time).to_have_attribute("open", "")
    if not is_phone:
        expect(kind).to_have_attribute("open", "")
        return
    expect(kind).not_to_have_attribute("open", "")
    kind.locator("summary").click()
    hand.check()
    hand.follow(kind.locator("a[href*='what=segment']").first)
    expect(kind).to_have_attribute("open", "")
    page.goto("/admin/journal/change/")
    expect(kind).to_have_attribute("open", "")
