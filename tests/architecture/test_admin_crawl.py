"""A crawl of the admin as each group of staff, in German: what is offered opens, and is in German."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import Group

from accounts.models import User
from tests.conftest import web_client
from tests.core.test_languages import entries
from tests.factories.accounts import UserFactory
from tests.factories.shops import MINE, THEIRS, Shop

GROUPS = import_module("accounts.migrations.0009_staff_groups")
ACTIVITY = import_module("accounts.migrations.0010_groups_see_activity")
CAMPAIGNS = import_module("accounts.migrations.0013_merchandisers_make_campaigns")
EXTENSIONS = import_module("accounts.migrations.0012_groups_of_webhooks_and_campaigns")
GERMAN = {"Accept-Language": "de"}
SILENT = {"script", "style", "code", "textarea", "noscript", "svg", "title"}
SPOKEN = ("title", "aria-label", "placeholder", "alt")
ENGLISH = re.compile(
    r"\b(the|and|of|is|are|not|with|for|this|from|you|your|which|when|has|no|all|add)\b", re.I
)
NAMED = re.compile(r"validity\.(from|to)")
NAMES = {"count", "kid", "name", "segments", "site", "version", "None"}
"""Kinds of jobs and imports, members of documents, and what Django writes for an empty attribute of a row."""
PERMISSION = re.compile(r".+ \| Can (add|change|delete|view) .+")
"""As Django stores them in the database."""

RAW = re.compile(r"\+00:00|\b\d+[.,]\d{5,}\b")
"""Times as Python writes them, and numbers with all the zeros of their column."""

MOST_PARAMETERS = 1
STAYS = ("/logout/", "/jsi18n/", "/autocomplete/", "/setlang", "/language/")


class Reader(HTMLParser):
    """Reads what a page offers and says."""

    VOID = frozenset({"input", "br", "img", "meta", "link", "hr", "wbr", "col"})

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.posts: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        self.posts += [found[name] for name in ("action", "formaction") if found.get(name)]
        self.texts += [found[name] for name in SPOKEN if found.get(name)]
        if tag == "input" and found.get("type") in ("submit", "button"):
            self.texts.append(found.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not SILENT & set(self.open):
            self.texts.append(" ".join(data.split()))


def shape(address: str) -> tuple[str, ...]:
    """Return what is alike in addresses of the same page for other rows."""
    parts = urlsplit(address)
    names = sorted(name for name, _ in parse_qsl(parts.query) if name != "_changelist_filters")
    return re.sub(r"\d+", "0", parts.path), *names


class Crawl:
    """The pages of the admin that are left to look at: one of each shape, and no combinations of filters."""

    def __init__(self) -> None:
        self.waiting, self.seen = ["/admin/"], {shape("/admin/")}

    def is_new(self, target: str, address: str) -> bool:
        """Say whether a page that the one of the address leads to is to be looked at."""
        found = shape(target)
        if not target.startswith("/admin/") or any(part in target for part in STAYS):
            return False
        combines = len(found) > MOST_PARAMETERS + 1 and found[0] == shape(address)[0]
        if combines or found in self.seen:
            return False
        self.seen.add(found)
        return True

    def follow(self, links: Iterable[str], address: str) -> None:
        """Look at the pages that the one of the address leads to as well."""
        targets = (urljoin(address, link) for link in links)
        self.waiting += [target for target in targets if self.is_new(target, address)]


@cache
def spoken_in_english() -> tuple[set[str], list[re.Pattern[str]]]:
    """Return the English texts of the catalogue that German says otherwise: as they are, and with values."""
    plain, patterns = set(), []
    for message, texts in entries().items():
        text = message.rpartition("\x04")[2]
        if text in texts or not re.search("[A-Za-z]{3}", text):
            continue
        if re.search(r"[{%]", text):
            pattern = re.sub(r"\\\{\w*\\\}|%\\\(\w+\\\)[sd]", ".+", re.escape(text))
            if re.search("[A-Za-z]{3}", pattern):
                patterns.append(re.compile(pattern))
        else:
            plain.add(text)
    return plain, patterns


@cache
def is_english(said: str) -> bool:
    plain, patterns = spoken_in_english()
    return (
        said in plain
        or any(pattern.fullmatch(said) for pattern in patterns)
        or ENGLISH.search(NAMED.sub("", said)) is not None
    )


def english(texts: list[str]) -> Iterator[str]:
    """Yield the texts that are English, other than what the shops themselves are called."""
    for text in texts:
        said = text.strip(" :*›↓«»·")
        if not said or MINE in said or THEIRS in said or said in NAMES or PERMISSION.fullmatch(said):
            continue
        if is_english(said):
            yield said


# The superuser sees all pages; what each group sees of them is for the full suite.
GROUPS_OF_STAFF = [pytest.param(name, marks=pytest.mark.slow) for name in GROUPS.GROUPS]


@pytest.fixture(params=[*GROUPS_OF_STAFF, "superuser"])
def member(request: pytest.FixtureRequest, mine: Shop) -> User:
    if request.param == "superuser":
        return UserFactory(username="member-mymark", tenant=None, is_superuser=True)
    GROUPS.make_groups(apps)
    ACTIVITY.show_activity(apps)
    EXTENSIONS.extend_groups(apps)
    CAMPAIGNS.grant(apps)
    user = UserFactory(username="member-mymark", tenant=mine.tenant)
    user.groups.add(Group.objects.get(name=request.param))
    return user


def test_what_is_offered_opens_and_is_in_german(member: User, mine: Shop, stored_signing_keys: None) -> None:
    browser = web_client()
    browser.force_login(member)
    browser.raise_request_exception = False
    crawl = Crawl()
    faults: dict[str, str] = {}
    while crawl.waiting:
        address = crawl.waiting.pop()
        response = browser.get(address, headers=GERMAN)
        if response.status_code in (301, 302):
            response = browser.get(urljoin(address, response.headers["Location"]), headers=GERMAN)
        if response.status_code != 200:
            faults[address] = str(response.status_code)
        elif response.headers["Content-Type"].startswith("text/html"):
            page = Reader()
            text = response.content.decode()
            page.feed(text)
            if 'class="readonly">{' in text or 'class="readonly">[' in text:
                faults["shown as JSON"] = address
            faults |= {f"English: {text}": address for text in english(page.texts)}
            faults |= {f"raw: {text}": address for text in page.texts if RAW.search(text)}
            crawl.follow(page.links, address)
            for link in page.posts:
                if crawl.is_new(target := urljoin(address, link), address):
                    status = browser.get(target, headers=GERMAN).status_code
                    if status >= 400 and status != 405:  # what is only posted
                        faults[target] = f"{status}, posted to from {address}"
    assert "\n".join(sorted(f"{what}: {where}" for what, where in faults.items())) == ""
    assert len(crawl.seen) > 40
