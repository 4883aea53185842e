"""The page of docs/storefronts.md, from another origin, against a running server."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Page, expect

from accounts.models import Site
from tests.factories.accounts import ApiClientFactory, CustomerFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

EXAMPLE = Path(__file__).parents[2] / "docs" / "storefront-example"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def storefront(live_server: Any, site: Site, settings: LazySettings) -> Iterator[str]:
    """Serve the page from an origin of its own, which may call the API; return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=EXAMPLE))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    origin = f"http://127.0.0.1:{server.server_port}"
    settings.CORS_ALLOWED_ORIGINS = [origin]
    ApiClientFactory(tenant=site.tenant, client_id="shop", may_start_sessions=True)
    yield f"{origin}/index.html?{urlencode({'api': live_server.url, 'tenant': 'acme', 'client': 'shop'})}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shopper(site: Site) -> None:
    """A customer with a segment, which has a category with a product and a coupon."""
    tenant = site.tenant
    ann = CustomerFactory(
        tenant=tenant,
        external_id="C1",
        email="ann@example.com",
        password=make_password("demo"),
        first_name="Ann",
        last_name="Lee",
    )
    gold = SegmentFactory(site=site, external_id="gold", status="ACTIVE")
    CustomerAssignmentFactory(segment=gold, customer=ann)
    food = CategoryFactory(tenant=tenant, external_id="food", name={"en": "Food"})
    fruit = CategoryFactory(parent=food, external_id="fruit", name={"en": "Fruit"})
    apple = ProductFactory(tenant=tenant, external_id="P1", name={"en": "Apple"})
    CategoryAssignmentFactory(category=fruit, product=apple)
    ItemAssignmentFactory(segment=gold, product=None, category=fruit)
    coupon = CouponFactory(
        tenant=tenant,
        code="GOLD",
        discount_type="ABSOLUTE",
        discount_amount=10,
        discount_currency="USD",
        is_segment_restricted=True,
    )
    CouponSegmentFactory(coupon=coupon, segment=gold)


def test_the_storefront_of_the_documentation_works(page: Page, storefront: str, shopper: None) -> None:
    statuses: list[tuple[str, int]] = []
    page.on("response", lambda answer: statuses.append((answer.url, answer.status)))
    page.goto(storefront)
    page.get_by_label("E-mail").fill("ann@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Ann Lee")).to_be_visible()
    expect(page.get_by_text("Read from the shop.")).to_be_visible()
    expect(page.get_by_role("button", name="Food")).to_be_visible()

    page.get_by_role("button", name="Fruit").click()
    expect(page.get_by_text("Apple")).to_be_visible()
    page.get_by_label("Coupon").fill("GOLD")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_have_text("It grants 10 USD.")
    page.get_by_label("Coupon").fill("NONE")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_contain_text("NONE")

    page.reload()  # the tree is kept, and asked for with its tag
    expect(page.get_by_text("Unchanged: shown from memory.")).to_be_visible()
    expect(page.get_by_role("button", name="Fruit")).to_be_visible()
    assert [status for url, status in statuses if "category-trees" in url] == [200, 304]

    broken = "{...JSON.parse(sessionStorage.tokens), access_token: 'expired'}"
    page.evaluate(f"sessionStorage.tokens = JSON.stringify({broken})")
    page.reload()  # 401, a refresh, and on
    expect(page.get_by_text("Ann Lee")).to_be_visible()
    assert [status for url, status in statuses if "refreshauthtoken" in url] == [200]

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("E-mail")).to_be_visible()
    page.wait_for_function("JSON.parse(sessionStorage.tokens ?? '{}').isCustomer === false")
