"""Pages of the admin that belong to no model, links on rows of others and filters: packages add them."""

from collections.abc import Callable, Sequence

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import URLPattern

FiltersOfList = Callable[[str], Sequence[type[admin.SimpleListFilter]]]
RowLink = Callable[[HttpRequest, Model], dict[str, object] | None]

_row_links: dict[str, list[RowLink]] = {}
_pages: list[URLPattern] = []
_filters: list[FiltersOfList] = []


def register_page(pattern: URLPattern) -> None:
    """Add a page, whose view says itself who may see it."""
    _pages.append(pattern)


def registered_pages() -> list[URLPattern]:
    """Return the pages in the order in which they were added."""
    return list(_pages)


def register_row_link(label: str, link: RowLink) -> None:
    """Add a link to the pages of a model's rows: `url`, `text` and `note`, or None where there is none."""
    _row_links.setdefault(label, []).append(link)


def row_links(request: HttpRequest, row: Model) -> list[dict[str, object]]:
    """Return the links that packages have added to the page of a row."""
    links = [link(request, row) for link in _row_links.get(row._meta.label, ())]
    return [link for link in links if link is not None]


def register_filters(find: FiltersOfList) -> None:
    """Add filters to lists: `find` returns those of a model, by its label."""
    _filters.append(find)


def registered_filters(label: str) -> list[type[admin.SimpleListFilter]]:
    """Return the filters that packages have added to the list of a model's rows."""
    return [one for find in _filters for one in find(label)]
