"""Numbers of the admin that count rows are links to the list of these rows.

What is counted without rows, such as attempts, is in an element of the class `counter`, whose words
say so, or is named here.
"""

import re
from datetime import datetime
from typing import Any

from core.imports.models import ImportRun
from coupons.models import Coupon, JudgementCount
from tests.architecture.test_admin_crawl import Crawl, Reader
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
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
        if not NUMBER.fullmatch(text) or not re.search("[1-9]", text):
            return
        tags = [tag for tag, _ in self.classes]
        names = set().union(*(found for _, found in self.classes))
        is_number = (
            ("#result_list" in names and "td" in tags)
            or ("facts" in names and "strong" in tags)
            or not {"number", "readonly", "big-number", "below"}.isdisjoint(names)
        )
        if is_number and "a" not in tags and names.isdisjoint({"counter", *NO_COUNTS}):
            own = [name for _, found in self.classes[-4:] for name in sorted(found) if name != "#None"]
            self.bare.append(f"{text} in {' '.join(own)}")


def test_numbers_that_count_rows_lead_to_them(mine: Shop, stored_signing_keys: None, now: datetime) -> None:
    browser: Any = web_client()
    browser.force_login(UserFactory(username="member-mymark", tenant=None, is_superuser=True))
    ImportRun.objects.update(rows=9, created=2, changed=2, removed=2, unchanged=1, repeated=1, refused=1)
    coupon = Coupon.objects.get(pk=mine.rows[Coupon].pk)
    for outcome in ("valid", "refused", "EXPIRED"):
        JudgementCount.objects.create(
            tenant=mine.tenant, coupon=coupon, day=now.date(), outcome=outcome, count=3
        )
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
