"""Every page for browsers works under its Content-Security-Policy, and none is wider than its screen.

Tables may scroll inside their own frame on a phone, and on a desk they need not.
"""

import pytest
from django.conf import settings
from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import Customer, LegalEntity, User
from catalog.models import Product
from core.background.models import Job
from core.imports.models import ImportReject
from coupons.models import Coupon
from events.models import Delivery, Target
from segments.models import Segment
from tests.browser.conftest import PASSWORD, POLICY, log_in
from tests.factories.accounts import UserFactory
from tests.factories.shops import MINE, Shop

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

KINDS = ("error", "warning")
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FRAMES = """[...document.querySelectorAll("#changelist .results, .scrolls, table")]
    .map((frame) => frame.scrollWidth - frame.clientWidth).reduce((most, one) => Math.max(most, one), 0)"""
LONG = "The address answered with 503 after 10 seconds: Donaudampfschifffahrtsgesellschaft"


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Errors and warnings that the browser prints, such as what the policy has blocked."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type in KINDS else None)
    return found


@pytest.fixture
def shop(db: None) -> Shop:
    made = Shop(MINE)
    made.make()
    now = timezone.now()
    # as wide as rows of real shops
    names: dict[str, str] = {"en": "Coffee and tea of the season", "de": "Kaffee und Tee zur Jahreszeit"}
    for model in (Segment, Product):
        model.objects.update(name=names)
    Customer.objects.update(first_name="Maximiliane", last_name="Hohenzollern-Sigmaringen")
    LegalEntity.objects.update(name="Donaudampfschifffahrtsgesellschaft mbH & Co. KG")
    Coupon.objects.update(name="Ten percent off in the second week of Advent")
    Target.objects.update(destination_url=f"https://hooks.example.com/{'a1' * 40}")
    Delivery.objects.update(last_error=LONG, last_status=503, last_attempt_at=now, attempts=12)
    Job.objects.update(error=LONG, started_at=now, finished_at=now)
    ImportReject.objects.update(message=LONG, source=LONG)
    User.objects.update(last_login=now, last_name="Hohenzollern-Sigmaringen")
    return made


@pytest.fixture
def operator_page(page: Page, complaints: list[str], shop: Shop) -> Page:
    user = UserFactory(username="operator", tenant=None, is_superuser=True)
    user.set_password(PASSWORD)
    user.save()
    log_in(page, "operator")
    return page


def all_pages(shop: Shop) -> list[str]:
    pages = [reverse("admin:index"), reverse("admin:password_change"), "/admin/no/such/page/"]
    for model, row in shop.rows.items():
        if model not in admin.site._registry:
            continue
        for pattern in admin.site.get_model_admin(model).get_urls():
            if pattern.name is None or pattern.name.endswith("_export"):  # a file, no page
                continue
            try:
                pages.append(reverse(f"admin:{pattern.name}"))
            except NoReverseMatch:
                pages.append(reverse(f"admin:{pattern.name}", args=[row.pk]))
    add_pages = [f"{address}?tenant={shop.tenant.pk}" for address in pages if address.endswith("/add/")]
    return pages + add_pages


def of_policy(complaints: list[str]) -> list[str]:
    return [text for text in complaints if "Failed to load resource" not in text]  # 403 and 404 as answers


def test_no_page_of_the_admin_has_anything_that_the_policy_blocks_or_is_wider_than_the_screen(
    operator_page: Page, complaints: list[str], shop: Shop, live_server: LiveServer
) -> None:
    german = {"name": settings.LANGUAGE_COOKIE_NAME, "value": "de", "url": live_server.url}  # longer words
    operator_page.context.add_cookies([german])
    wide = {}
    for address in all_pages(shop):
        before = len(complaints)
        operator_page.set_viewport_size({"width": 1280, "height": 900})
        operator_page.goto(address)
        complaints[before:] = [f"{address}: {text}" for text in of_policy(complaints[before:])]
        if over := operator_page.evaluate(WIDER) or operator_page.evaluate(FRAMES):
            wide[f"{address} at 1280"] = over
        operator_page.set_viewport_size({"width": 390, "height": 900})
        if over := operator_page.evaluate(WIDER):
            wide[f"{address} at 390"] = over
    assert complaints == []
    assert wide == {}


def test_the_calendar_and_the_search_of_a_field_work(
    operator_page: Page, complaints: list[str], shop: Shop
) -> None:
    operator_page.goto(f"/admin/segments/customerassignment/add/?tenant={shop.tenant.pk}")
    operator_page.get_by_role("link", name="Today").first.click()
    expect(operator_page.locator("input.vDateField").first).not_to_have_value("")
    operator_page.locator(".datetimeshortcuts .date-icon").first.click()
    expect(operator_page.locator(".calendarbox").first).to_be_visible()
    operator_page.keyboard.press("Escape")
    operator_page.locator(".field-customer .select2-selection").click()
    expect(operator_page.locator(".select2-results__option").first).to_be_visible()
    assert complaints == []


def test_the_description_of_the_api_unfolds(page: Page, complaints: list[str]) -> None:
    page.goto("/docs")
    operation = page.locator(".opblock").first
    operation.locator("button.opblock-summary-control").click()
    expect(operation.locator(".opblock-body")).to_be_visible()
    assert complaints == []


def test_an_inline_script_does_not_run(page: Page) -> None:
    complaints: list[str] = []
    attacked = page.context.new_page()  # a page of its own: the fixture's fails on what is blocked
    attacked.on("console", lambda message: complaints.append(message.text))
    attacked.goto("/admin/login/")
    attacked.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.injected = true";
            document.body.append(script);
        }"""
    )
    assert attacked.evaluate("window.injected") is None
    assert [text for text in complaints if POLICY in text] != []
