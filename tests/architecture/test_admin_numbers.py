"""Numbers of the admin that count rows are links to the list of these rows.

Also those of the questions that actions on selected rows ask. What is counted without rows, such as
attempts, is in an element of the class `counter`, whose words say so, or is named here.
"""

import re
from datetime import datetime
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.urls import reverse

from core.imports.models import ImportRun
from core.tenancy.models import Tenant
from coupons.models import Coupon, JudgementCount
from segments.models import Segment
from tests.architecture.test_admin_crawl import Crawl, Reader
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import (
    CouponCampaignFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
)
from tests.factories.segments import SegmentFactory
from tests.factories.shops import Shop

NUMBER = re.compile(r"[\d.,  ]*\d\+?")
NO_COUNTS = {
    "field-id": "a key",
    "field-line": "a line of a file",
    "field-version": "a version",
    "field-slot": "a place",
    "field-shown_referral_amount": "an amount",
    "field-attempts": "attempts, of which none is kept",
    "field-tries": "attempts, of which none is kept",
    "field-priority": "a place in an order",
    "field-position": "a place in an order",
    "share": "a share of all customers",
}
"""Fields whose numbers count nothing."""


class Numbers(Reader):
    """Finds the numbers of cells and facts that are no links."""

    def __init__(self) -> None:
        super().__init__()
        self.classes: list[tuple[str, set[str]]] = []
        self.bare: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attributes)
        if tag not in self.VOID:
            found = dict(attributes)
            names = {*(found.get("class") or "").split(), f"#{found.get('id')}"}
            self.classes.append((tag, names))

    def handle_endtag(self, tag: str) -> None:
        super().handle_endtag(tag)
        if tag in [one for one, _ in self.classes]:
            while self.classes.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        super().handle_data(data)
        text = data.strip()
        tags = [tag for tag, _ in self.classes]
        names = set().union(*(found for _, found in self.classes))
        is_sentence = "details" in names and "names" not in names
        if is_sentence:
            text = text.replace("in the last 30 days", "")
        if not (is_sentence or NUMBER.fullmatch(text)) or not re.search("[1-9]", text):
            return
        is_number = (
            is_sentence
            or ("counts" in names and "strong" in tags)
            or ("#result_list" in names and "td" in tags)
            or ("facts" in names and "strong" in tags)
            or not {"number", "readonly", "big-number", "below"}.isdisjoint(names)
        )
        if is_number and "a" not in tags and names.isdisjoint({"counter", *NO_COUNTS}):
            own = [name for _, found in self.classes[-4:] for name in sorted(found) if name != "#None"]
            self.bare.append(f"{text} in {' '.join(own)}")


@pytest.fixture
def counted(mine: Shop, now: datetime) -> Shop:
    """The shop, with numbers that nothing else makes."""
    ImportRun.objects.update(rows=9, created=2, changed=2, removed=2, unchanged=1, repeated=1, refused=1)
    coupon = Coupon.objects.get(pk=mine.rows[Coupon].pk)
    for outcome in ("valid", "refused", "EXPIRED"):
        JudgementCount.objects.create(
            tenant=mine.tenant, coupon=coupon, day=now.date(), outcome=outcome, count=3
        )
    return mine


@pytest.fixture
def browser(mine: Shop) -> Any:
    browser = web_client()
    browser.force_login(UserFactory(username="member-mymark", tenant=None, is_superuser=True))
    return browser


def bare_numbers(response: Any) -> list[str]:
    """Return the numbers of a page that are no links."""
    page = Numbers()
    page.feed(response.content.decode())
    return page.bare


def test_numbers_that_count_rows_lead_to_them(browser: Any, counted: Shop, stored_signing_keys: None) -> None:
    crawl = Crawl()
    bare: dict[str, str] = {}
    while crawl.waiting:
        address = crawl.waiting.pop()
        response = browser.get(address, follow=True)
        if response.status_code != 200 or not response.headers["Content-Type"].startswith("text/html"):
            continue
        page = Numbers()
        page.feed(response.content.decode())
        bare |= dict.fromkeys(page.bare, address)
        crawl.follow(page.links, address)
    assert "\n".join(f"{one}: {where}" for one, where in sorted(bare.items())) == ""
    assert len(crawl.seen) > 40


def test_numbers_in_the_questions_of_actions_lead_to_what_they_count(
    counted: Shop, stored_signing_keys: None
) -> None:
    """Each action asks about all rows of the tenant: two segments, categories and campaigns."""
    browser: Any = web_client()
    browser.force_login(UserFactory(username="member-mymark", tenant=counted.rows[Tenant], is_superuser=True))
    segment = Segment.objects.get(pk=counted.rows[Segment].pk)
    SegmentFactory(site=segment.site)
    coupon = CouponFactory(tenant=counted.tenant, is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=segment)
    RedemptionFactory(coupon=coupon)
    CategoryFactory(tenant=counted.tenant)
    CouponCampaignFactory(tenant=counted.tenant)
    asked, bare = set(), {}
    for model, model_admin in admin.site._registry.items():
        options = model._meta
        page = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
        shown = browser.get(page)
        if shown.status_code != 200:
            continue
        keys = [str(row.pk) for row in shown.context["cl"].result_list]
        for action in model_admin.get_actions(shown.wsgi_request):
            with transaction.atomic():
                response = browser.post(page, {"action": action, "_selected_action": keys, "index": "0"})
                transaction.set_rollback(True)
            if response.status_code == 200 and response.headers["Content-Type"].startswith("text/html"):
                asked.add((options.label, action))
                bare |= dict.fromkeys(bare_numbers(response), (options.label, action))
    assert bare == {}
    assert {
        ("segments.Segment", "delete_selected"),
        ("segments.Segment", "deactivate"),
        ("catalog.Category", "delete_selected"),
        ("catalog.Category", "unpublish"),
        ("coupons.CouponCampaign", "deactivate"),
        ("accounts.LegalEntity", "delete_selected"),
    } <= asked
