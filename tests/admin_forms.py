"""Forms of the admin as a browser sends them."""

from collections.abc import Sequence
from html.parser import HTMLParser

from django.test import Client

Attributes = Sequence[tuple[str, str | None]]


class _FormReader(HTMLParser):
    """Collects what a browser would send of the form of a page when its button is pressed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.is_inside = False
        self.area: str | None = None
        self.text = ""
        self.select: str | None = None
        self.takes_several = False
        self.options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attributes: Attributes) -> None:
        found = {name: value or "" for name, value in attributes}
        if tag == "form" and found.get("id", "").endswith("_form"):
            self.is_inside = True
        if not self.is_inside:
            return
        match tag:
            case "input":
                self.input(found)
            case "textarea":
                self.area, self.text = found["name"], ""
            case "select":
                self.select, self.takes_several, self.options = found["name"], "multiple" in found, []
            case "option":
                self.options.append((found.get("value", ""), "selected" in found))

    def input(self, found: dict[str, str]) -> None:
        kind = found.get("type", "text")
        if kind in ("submit", "button", "file") or "name" not in found:
            return
        if kind in ("checkbox", "radio"):
            if "checked" in found:
                self.add(found["name"], found.get("value", "on"))
            return
        value = found.get("value", "")
        if kind != "hidden":  # an input has a single line
            value = value.replace("\r", "").replace("\n", "")
        self.add(found["name"], value)

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_inside = False
        elif tag == "textarea" and self.area is not None:
            lines = self.text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\n")
            self.add(self.area, lines.replace("\n", "\r\n"))
            self.area = None
        elif tag == "select" and self.select is not None:
            chosen = [value for value, is_selected in self.options if is_selected]
            if not chosen and not self.takes_several:
                chosen = [value for value, _ in self.options[:1]]
            for value in chosen:
                self.add(self.select, value)
            self.select = None

    def add(self, name: str, value: str) -> None:
        self.values.setdefault(name, []).append(value)


def shown_form(browser: Client, address: str) -> dict[str, list[str]]:
    """Return what a browser would send of the form at the address, if nobody changed anything."""
    page = browser.get(address)
    assert page.status_code == 200
    reader = _FormReader()
    reader.feed(page.content.decode())
    assert reader.values
    return reader.values
