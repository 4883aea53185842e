"""The page "Who belongs" in a browser: rows and text, a look before saving, exclusions and reasons."""

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Site, User
from segments.models import Rule, Segment
from segments.rules import previews
from tests.segments.rules.settling import segment_with_customers, settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def previews_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "LONGEST", previews.PATIENT)


@pytest.fixture
def gold(site: Site) -> Segment:
    return segment_with_customers(site)


def test_estimates_are_followed_by_the_numbers(
    working_page: Page, gold: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MOST_EXACT": 0, "EACH": 1, "RARE": 0}.items():
        monkeypatch.setattr(previews, name, value)
    page = working_page
    page.goto(f"/admin/segments/segment/{gold.pk}/rule/")
    page.locator("[name=row_field]").fill("onHold")
    with page.expect_response(lambda answer: "about 3" in answer.text()):
        page.locator("[name=row_value]").fill("false")
    expect(page.locator("#rule-preview .rule-terms")).to_contain_text("3")
    expect(page.locator("#rule-preview")).not_to_contain_text("about")
    expect(page.locator("#rule-estimate")).to_have_count(0)


def test_a_rule_is_written_previewed_saved_and_explained(
    working_page: Page, gold: Segment, merchandiser: User
) -> None:
    merchandiser.user_permissions.add(Permission.objects.get(codename="view_change"))
    page = working_page
    page.goto(f"/admin/segments/segment/{gold.pk}/rule/")

    # rows make the text, and what it would do, while one types
    page.locator("[name=row_field]").fill("onHold")
    page.locator("[name=row_value]").fill("false")
    expect(page.locator("#rule-text")).to_have_value("onHold:false")
    expect(page.locator("#rule-preview")).to_contain_text("of 4 customers (75.0 %)")
    expect(page.locator("#rule-preview .rule-sample li")).to_have_count(3)
    assert not Rule.objects.exists()

    # the text makes the rows
    page.locator("#rule-text").fill("onHold:false mixins.loyalty.tier:silver")
    expect(page.locator("[name=row_field]")).to_have_count(2)
    expect(page.locator("[name=row_field]").nth(1)).to_have_value("mixins.loyalty.tier")
    expect(page.locator("#rule-preview .rule-sample li")).to_have_count(2)

    # a fault, in German as well
    page.locator("#rule-text").fill("onHold:maybe")
    expect(page.locator("#rule-editor .fault")).to_contain_text("Expected true or false")
    page.locator("#rule-text").fill("onHold:false")
    expect(page.locator("#rule-preview .rule-sample li")).to_have_count(3)

    # what was looked at is saved, and followed
    page.get_by_role("button", name="Save the rule").click()
    expect(page.locator(".messagelist")).to_contain_text("Saved.")
    settle(timezone.now())
    page.goto(f"/admin/segments/segment/{gold.pk}/rule/")
    expect(page.locator(".rule-state")).to_contain_text("Up to date")
    expect(page.locator(".rule-times dd").first).to_have_text("3")

    # who is taken out by hand is listed, and why
    gold.customer_assignments.filter(customer__external_id="c1").delete()
    page.goto(f"/admin/segments/segment/{gold.pk}/rule/why/?customer=c1")
    expect(page.locator("#content")).to_contain_text("onHold:false")
    page.goto(f"/admin/segments/segment/{gold.pk}/rule/")
    expect(page.locator("#exclusions tbody tr")).to_have_count(1)
    expect(page.locator("#exclusions")).to_contain_text("Anna1")

    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.locator("#rule-text").fill("onHold:maybe")
    expect(page.locator("#rule-editor .fault")).to_contain_text("Hier fehlt true oder false")
    page.get_by_role("button", name="Wieder aufnehmen lassen").click()
    expect(page.locator("#exclusions")).to_have_count(0)
    expect(page.locator(".messagelist").get_by_role("button")).to_be_visible()
