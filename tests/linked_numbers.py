"""Numbers of a page, and the lists that their links lead to."""

import re
from collections.abc import Iterable, Iterator

from django.test import Client

from core.admin.confirmation import Fact


def numbers_and_links(facts: Iterable[Fact]) -> Iterator[tuple[str, str]]:
    """Yield each number of the facts with its link; one of several in a sentence with the sentence's link."""
    for fact in facts:
        yield fact.number, fact.url
        for part in fact.parts:
            if not part.is_names:
                [number] = re.findall(r"\d+", re.sub(r"\([^)]*\)|in the last 30 days", "", part.text))
                yield number, part.url


def assert_listed(browser: Client, facts: Iterable[Fact]) -> None:
    """Follow the links of all numbers that count something: the lists have as many rows."""
    for number, url in numbers_and_links(facts):
        if number == "0" or url.startswith("#"):
            continue
        page = browser.get(url)
        assert page.status_code == 200, f"{number} leads to {url}: {page.status_code}"
        listed = page.context["cl"].paginator.count
        assert number == str(listed), f"{number} leads to {url}, which lists {listed}"
