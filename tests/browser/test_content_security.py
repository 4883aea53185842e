"""Every page for browsers works under its Content-Security-Policy: none has inline scripts or styles."""

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, POLICY, log_in
from tests.factories.accounts import UserFactory
from tests.factories.shops import MINE, Shop

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

KINDS = ("error", "warning")
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


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


def test_no_page_of_the_admin_has_anything_that_the_policy_blocks_or_is_wider_than_a_phone(
    operator_page: Page, complaints: list[str], shop: Shop
) -> None:
    operator_page.set_viewport_size({"width": 390, "height": 900})
    wide = {}
    for address in all_pages(shop):
        before = len(complaints)
        operator_page.goto(address)
        complaints[before:] = [f"{address}: {text}" for text in of_policy(complaints[before:])]
        if over := operator_page.evaluate(WIDER):
            wide[address] = over
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
