"""Tasks of a merchandiser, in English and German, on a desk and on a phone, in as few clicks as they take."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from accounts.models import Site
from segments.models import CustomerAssignment, Segment
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Hand:
    """Clicks and counts, and counts the pages that are loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.loads = 0
        self.problems: list[str] = []
        page.on("load", self._loaded)
        page.on("console", lambda said: self._note(said.text) if said.type == "error" else None)
        page.on("requestfailed", self._failed)
        page.on("response", lambda answer: self._note(answer.url) if answer.status >= 400 else None)

    def _loaded(self, page: Page) -> None:
        self.loads += 1

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by a click that left the page before it was answered
            self._note(f"failed: {request.url}")

    def _note(self, text: str) -> None:
        self.problems.append(text)

    def start(self, address: str) -> None:
        self.page.goto(address)
        self.clicks = self.loads = 0

    def click(self, role: str, name: str) -> None:
        self.clicks += 1
        self.page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]


@pytest.fixture(params=[("en", 1280), ("de", 390)], ids=["english-desk", "german-phone"])
def hand(working_page: Page, request: pytest.FixtureRequest) -> Iterator[Hand]:
    language, width = request.param
    working_page.set_viewport_size({"width": width, "height": 900})
    if language == "de":
        working_page.get_by_role("button", name="Deutsch").click()
        expect(working_page.locator("html")).to_have_attribute("lang", "de")
    found = Hand(working_page)
    yield found
    assert found.problems == []


@pytest.fixture
def vip(site: Site) -> Segment:
    segment = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    for name in ("Stay", "Leave", "Leave"):
        CustomerAssignmentFactory(
            segment=segment, customer=CustomerFactory(tenant=site.tenant, last_name=name)
        )
    return segment


def word(hand: Hand, english: str, german: str) -> str:
    return german if hand.page.locator("html").get_attribute("lang") == "de" else english


def test_members_are_removed_by_a_search(hand: Hand, vip: Segment, tmp_path: Path) -> None:
    hand.start(f"/admin/segments/customerassignment/?segment__id__exact={vip.pk}")
    hand.page.locator("#searchbar").fill("Leave")
    hand.click("button", word(hand, "Search", "Suchen"))
    expect(hand.page.locator("#result_list tbody tr")).to_have_count(2)
    hand.clicks += 1
    hand.page.locator("#action-toggle").click()
    hand.page.locator("select[name=action]").select_option("delete_selected")
    hand.clicks += 1
    hand.page.locator("button[name=index]").click()
    expect(hand.page.locator(".messagelist")).to_contain_text(word(hand, "Removed 2", "2 aus dem Segment"))
    hand.page.screenshot(path=tmp_path / "removed.png", full_page=True)
    assert CustomerAssignment.objects.count() == 1
    assert (hand.clicks, hand.loads) <= (4, 2)
    hand.start(hand.page.url)
    expect(hand.page.locator("#content")).to_be_visible()


def test_the_effect_is_seen_before_deleting(hand: Hand, vip: Segment, tmp_path: Path) -> None:
    hand.start(f"/admin/segments/segment/{vip.pk}/delete/")
    expect(hand.page.locator(".effects li").first).to_contain_text("3")
    hand.page.screenshot(path=tmp_path / "delete.png", full_page=True)
    hand.page.locator("#typed-name").fill("VIP")
    hand.clicks += 1
    hand.page.locator("[name=_confirmed]").click()
    undo = hand.page.locator(".messagelist").get_by_role(
        "button", name=word(hand, "Restore", "Wiederherstellen")
    )
    expect(undo).to_be_visible()
    assert not Segment.objects.exists()
    hand.clicks += 1
    undo.click()
    expect(hand.page.locator(".messagelist")).to_contain_text(word(hand, "Taken back", "Zurückgenommen"))
    assert CustomerAssignment.objects.count() == 3
    assert (hand.clicks, hand.loads) <= (2, 2)
