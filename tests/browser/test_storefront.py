"""The page at /shop/: as the demo shop serves it, and from another origin for another shop."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.contrib.auth.hashers import make_password
from django.test import Client
from playwright.sync_api import Locator, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from accounts.identity.models import ClientSecret
from accounts.identity.tokens.opaque import digest_of
from accounts.models import Customer, Site
from catalog.models import Product
from config.demo.shop_page import PAGE
from coupons.models import Redemption, Reservation
from segments.models import Segment
from tests.conftest import NOW
from tests.factories.accounts import (
    ApiClientFactory,
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
    TenantFactory,
)
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

NEXT_YEAR = max(datetime.now(UTC), NOW) + timedelta(days=365)  # for the browser and for the server


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def origin(settings: LazySettings) -> Iterator[str]:
    """Serve the page from an origin of its own, which may call the API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=PAGE))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    origin = f"http://127.0.0.1:{server.server_port}"
    settings.CORS_ALLOWED_ORIGINS = [origin]
    yield origin
    server.shutdown()
    thread.join()
    server.server_close()


def shopper_of(site: Site, number: str, email: str, name: str) -> Customer:
    return CustomerFactory(
        tenant=site.tenant,
        external_id=number,
        email=email,
        password=make_password("demo"),
        first_name=name,
        last_name="Lee",
    )


def assortment_of(site: Site) -> Segment:
    """Make a segment with a category that holds an apple, and two coupons; return it."""
    tenant = site.tenant
    gold = SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "Gold"}, status="ACTIVE")
    food = CategoryFactory(tenant=tenant, external_id="food", name={"en": "Food", "de": "Essen"})
    fruit = CategoryFactory(parent=food, external_id="fruit", name={"en": "Fruit", "de": "Obst"})
    apple = ProductFactory(tenant=tenant, external_id="500", name={"en": "Apple", "de": "Apfel"})
    CategoryAssignmentFactory(category=fruit, product=apple)
    ItemAssignmentFactory(segment=gold, product=None, category=fruit)
    percent = CouponFactory(
        tenant=tenant,
        code="GOLD",
        discount_type="PERCENT",
        discount_percentage=10,
        is_segment_restricted=True,
    )
    CouponSegmentFactory(coupon=percent, segment=gold)
    CouponFactory(
        tenant=tenant,
        code="FREESHIP",
        discount_type="FREE_SHIPPING",
        min_order_amount=10,
        min_order_currency="USD",
    )
    return gold


def enter(panel: Locator, code: str) -> None:
    panel.get_by_label("Coupon", exact=True).fill(code)
    panel.locator(".codes").get_by_role("button", name="Add").click()


def answer_busy(page: Page, url: str, *, seconds: int) -> None:
    """Answer the next request to the URL with 503, as the service does it."""
    headers = {
        "Retry-After": f"{seconds}",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
    }
    answers = [{"status": 503, "headers": headers, "json": {"message": "The service is busy."}}]
    page.route(url, lambda route: route.fulfill(**answers.pop()) if answers else route.fallback())


def test_two_shoppers_of_a_shop_see_what_their_segments_give_them(
    page: Page, origin: str, live_server: LiveServer, site: Site
) -> None:
    ApiClientFactory(tenant=site.tenant, client_id="shop", may_start_sessions=True)
    gold = assortment_of(site)
    CustomerAssignmentFactory(segment=gold, customer=shopper_of(site, "C1", "ann@example.com", "Ann"))
    shopper_of(site, "C2", "bob@example.com", "Bob")
    statuses: list[tuple[str, int]] = []
    page.on("response", lambda answer: statuses.append((answer.url, answer.status)))
    options = {"api": live_server.url, "tenant": "acme", "client": "shop", "language": "en"}
    options |= {"first": "ann@example.com", "second": "bob@example.com"}
    page.goto(f"{origin}/index.html?{urlencode(options)}")
    ann, bob = page.locator("#shopper-1"), page.locator("#shopper-2")

    ann.get_by_label("Password").fill("wrong")
    ann.get_by_role("button", name="Show").click()
    expect(ann.get_by_role("alert")).not_to_be_empty()
    for panel in (ann, bob):
        panel.get_by_label("Password").fill("demo")
        panel.get_by_role("button", name="Show").click()
    expect(ann.get_by_role("heading", name="Ann Lee")).to_be_visible()
    expect(ann.locator(".segments")).to_contain_text("Gold")
    expect(bob.get_by_text("No segment counts.")).to_be_visible()

    ann.locator(".tree summary").click(position={"x": 2, "y": 8})
    ann.get_by_role("button", name="Fruit").click()
    ann.get_by_role("button", name="Add to the cart: Apple").click()  # 5.79, by its id
    enter(ann, "GOLD")
    expect(ann.locator(".accepted")).to_contain_text("GOLD takes off $0.58")
    enter(ann, "FREESHIP")
    expect(ann.locator(".refused")).to_contain_text("Spend $4.21 more.")
    expect(ann.get_by_role("button", name="Reserve the coupons")).to_be_disabled()
    ann.get_by_label("Quantity: Apple").fill("2")
    ann.get_by_label("Quantity: Apple").press("Tab")
    expect(ann.locator(".accepted")).to_have_count(2)
    expect(ann.locator("tfoot")).to_contain_text("$10.42")

    ann.get_by_role("button", name="Reserve the coupons").click()
    expect(ann.locator(".outcome")).to_contain_text("Reserved until")
    ann.get_by_role("button", name="Back to the cart").click()
    expect(ann.locator(".outcome")).to_contain_text("Released")
    assert Reservation.objects.filter(ended_at=None).count() == 0
    ann.get_by_role("button", name="Reserve the coupons").click()
    ann.get_by_label("Quantity: Apple").fill("3")  # what was reserved is for another cart
    ann.get_by_label("Quantity: Apple").press("Tab")
    expect(ann.locator("tfoot")).to_contain_text("$15.63")
    expect(ann.locator(".outcome")).to_contain_text("Released")
    assert Reservation.objects.filter(ended_at=None).count() == 0
    for code in ("GOLD", "FREESHIP"):
        ann.get_by_role("button", name=f"Remove: {code}").click()
    expect(ann.locator(".verdicts li")).to_have_count(0)
    ann.get_by_role("button", name="Find the best ones").click()
    expect(ann.locator(".outcome")).to_have_text("No coupon takes anything off this cart.")
    enter(ann, "GOLD")
    enter(ann, "FREESHIP")
    expect(ann.locator(".accepted")).to_have_count(2)
    ann.get_by_role("button", name="Reserve the coupons").click()
    ann.get_by_role("button", name="Pay and order").click()
    expect(ann.locator(".outcome")).to_contain_text("Coupons redeemed:")
    assert sorted(Redemption.objects.values_list("coupon__code", flat=True)) == ["FREESHIP", "GOLD"]

    assert [status for url, status in statuses if "category-trees" in url and status != 200] == []
    page.evaluate("document.querySelector('#options select').onchange()")  # shows it once more
    expect(ann.get_by_text("Unchanged since the last look (304).")).to_be_visible()
    assert 304 in [status for url, status in statuses if "category-trees" in url]


def test_what_is_reserved_is_given_back(page: Page, origin: str, live_server: LiveServer, site: Site) -> None:
    ApiClientFactory(tenant=site.tenant, client_id="shop", may_start_sessions=True)
    apple = ProductFactory(tenant=site.tenant, external_id="500", name={"en": "Apple"})
    gold = SegmentFactory(site=site, status="ACTIVE")
    ItemAssignmentFactory(segment=gold, product=apple)
    CouponFactory(tenant=site.tenant, code="TEN")
    for number, name in (("C1", "Ann"), ("C2", "Bob")):
        customer = shopper_of(site, number, f"{name.lower()}@example.com", name)
        CustomerAssignmentFactory(segment=gold, customer=customer)
        for _ in range(2):
            company = LegalEntityFactory(tenant=site.tenant)
            ContactAssignmentFactory(legal_entity=company, customer=customer)
            CustomerAssignmentFactory(segment=gold, customer=customer, legal_entity=company)
    options = {"api": live_server.url, "tenant": "acme", "client": "shop", "language": "en"}
    page.goto(f"{origin}/index.html?{urlencode({**options, 'first': 'ann@example.com'})}")
    panel = page.locator("#shopper-1")
    message, outcome = panel.locator(".message"), panel.locator(".outcome")
    live = Reservation.objects.filter(ended_at=None)

    def log_in(name: str) -> None:
        panel.get_by_label("Customer", exact=True).fill(f"{name.lower()}@example.com")
        panel.get_by_label("Password").fill("demo")
        panel.get_by_role("button", name="Show").click()
        expect(panel.get_by_role("heading", name=f"{name} Lee")).to_be_visible()

    def fill_cart() -> None:
        panel.get_by_role("button", name="Add to the cart: Apple").click()
        enter(panel, "TEN")

    def reserve() -> None:
        panel.get_by_role("button", name="Reserve the coupons").click()
        expect(outcome).to_contain_text("Reserved until")
        assert live.count() == 1

    def change_quantity(quantity: int) -> None:
        panel.get_by_label("Quantity: Apple").fill(f"{quantity}")
        panel.get_by_label("Quantity: Apple").press("Tab")

    log_in("Ann")
    fill_cart()
    reserve()
    panel.get_by_label("Acting for").select_option(index=1)
    expect(outcome).to_contain_text("Released")
    assert live.count() == 0

    reserve()
    live.update(ended_at=datetime.now(UTC))  # another tab's reservation has taken its place
    change_quantity(2)
    expect(message).to_contain_text("There is no reservation")
    expect(panel.locator("tfoot")).to_contain_text("$15.32")
    reserve()
    page.route("**/cart-reservations/*", lambda route: route.abort(), times=1)
    change_quantity(3)
    expect(panel.locator("tfoot")).to_contain_text("$20.53")
    expect(message).not_to_be_empty()
    reserve()

    panel.get_by_label("Acting for").select_option("themselves")
    expect(panel.get_by_text("The cart is empty.")).to_be_visible()
    assert live.count() == 0
    fill_cart()
    reserve()
    log_in("Bob")
    assert live.count() == 0
    fill_cart()
    reserve()
    live.update(ended_at=datetime.now(UTC))
    log_in("Ann")  # which there is nothing to give back for
    expect(message).to_be_empty()


def test_a_token_that_expired_is_refreshed(
    page: Page, origin: str, live_server: LiveServer, site: Site
) -> None:
    ApiClientFactory(tenant=site.tenant, client_id="shop", may_start_sessions=True)
    shopper_of(site, "C1", "ann@example.com", "Ann")
    statuses: list[tuple[str, int]] = []
    page.on("response", lambda answer: statuses.append((answer.url, answer.status)))

    def without_token_once(route: Route) -> None:
        route.continue_(headers={**route.request.headers, "authorization": "Bearer expired"})

    page.route("**/segments?*", without_token_once, times=1)
    answer_busy(page, "**/anonymous/login?*", seconds=6)
    options = {"api": live_server.url, "tenant": "acme", "client": "shop", "language": "en"}
    page.goto(f"{origin}/index.html?{urlencode({**options, 'first': 'ann@example.com'})}")
    ann = page.locator("#shopper-1")
    ann.get_by_label("Password").fill("demo")
    ann.get_by_role("button", name="Show").click()
    expect(ann.get_by_role("alert")).to_have_text("The service is busy.")  # for too long to wait
    answer_busy(page, "**/anonymous/login?*", seconds=0)
    answer_busy(page, "**/refreshauthtoken?*", seconds=0)
    ann.get_by_role("button", name="Show").click()
    expect(ann.get_by_text("No segment counts.")).to_be_visible()
    assert [status for url, status in statuses if "/segments?" in url] == [401, 200]
    assert [status for url, status in statuses if "anonymous/login" in url] == [503, 503, 200, 200]
    assert [status for url, status in statuses if "refreshauthtoken" in url] == [503, 200]


def test_the_demo_shop_serves_the_page_and_shows_another_date(page: Page) -> None:
    site = SiteFactory(tenant=TenantFactory(name="demo"), code="main", is_default=True)
    ApiClientFactory(tenant=site.tenant, client_id="demo-storefront", may_start_sessions=True)
    backend: Any = ApiClientFactory(
        tenant=site.tenant,
        client_id="demo-backend",
        scopes=["customersegment.segment_read", "coupon.coupon_manage", "coupon.coupon_redeem_on_behalf"],
    )
    ClientSecret.objects.create(
        client=backend, slot=1, digest=digest_of("demo-backend-secret"), created_at=datetime.now(UTC)
    )
    gold = assortment_of(site)
    Segment.objects.filter(pk=gold.pk).update(valid_from=NEXT_YEAR)
    household = shopper_of(site, "1", "household-1@example.com", "Household")
    CustomerAssignmentFactory(segment=gold, customer=household)
    shopper_of(site, "1010", "household-1010@example.com", "Household")

    silver = SegmentFactory(site=site, name={"en": "Silver", "de": "Silber"}, status="ACTIVE")
    CustomerAssignmentFactory(segment=silver, customer=household)
    ItemAssignmentFactory(segment=silver, product=Product.objects.get(external_id="500"))

    answer_busy(page, "**/customer/demo/login", seconds=1)
    page.goto("/shop/?language=de")
    first, second = page.locator("#shopper-1"), page.locator("#shopper-2")
    expect(second.get_by_text("Kein Segment zählt.")).to_be_visible()
    expect(first.locator(".segments")).to_have_text("Silber")
    for panel in (first, second):  # the login that was refused once was sent again
        expect(panel.locator(".message")).to_be_empty()
    first.get_by_role("button", name="In den Warenkorb: Apfel").click()
    first.get_by_label("Gutschein", exact=True).fill("GOLD")
    first.locator(".codes").get_by_role("button", name="Hinzufügen").click()
    refusal = first.locator(".verdicts .refused")
    expect(refusal).to_contain_text("Er ist für Mitglieder eines Segments, zu dem Sie nicht gehören.")
    expect(refusal).to_contain_text("Nur Mitglieder seiner Segmente können ihn nutzen.")

    second.get_by_label("Kunde").select_option("household-1@example.com")
    expect(second.locator(".segments")).to_have_text("Silber")
    second.get_by_label("Kunde").select_option("household-1010@example.com")
    expect(second.get_by_text("Kein Segment zählt.")).to_be_visible()

    answer_busy(page, "**/oauth/token", seconds=0)
    answer_busy(page, "**/category-trees?*asOf=*", seconds=0)
    page.get_by_label("Ansehen am").fill(f"{NEXT_YEAR + timedelta(days=2):%Y-%m-%d}")
    page.get_by_label("Ansehen am").press("Enter")
    expect(first.locator(".segments")).to_contain_text("Gold")
    expect(first.locator(".tree")).to_contain_text("Essen")
    expect(first.locator(".tree").get_by_role("button")).to_have_count(0)  # a preview has products of its own
    expect(first.get_by_text("So wäre es an diesem Tag.")).to_be_visible()
    expect(first.locator(".products")).to_have_text("Apfel")
    expect(first.locator(".verdicts-then")).to_have_text("GOLD erlässt 0,58\xa0$")
    expect(first.get_by_text("Warenkorb", exact=True)).to_be_hidden()
    expect(second.get_by_text("Kein Segment zählt.")).to_be_visible()
    expect(second.locator(".verdicts-then")).to_have_text(
        "Im Warenkorb ist kein Gutschein oder kein Produkt."
    )


@pytest.mark.django_db
def test_there_is_no_page_without_the_demo_shop(client: Client) -> None:
    assert client.get("/shop/").status_code == 404
    ApiClientFactory(tenant=TenantFactory(name="demo"), client_id="demo-storefront", may_start_sessions=True)
    assert client.get("/shop/").status_code == 200
    assert client.get("/shop/shop.js").status_code == 200
    assert client.get("/shop/..%2Fshop_page.py").status_code == 404
