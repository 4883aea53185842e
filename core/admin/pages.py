"""Pages of the admin that belong to no model: packages add them to the site's own."""

from django.urls import URLPattern

_pages: list[URLPattern] = []


def register_page(pattern: URLPattern) -> None:
    """Add a page, whose view says itself who may see it."""
    _pages.append(pattern)


def registered_pages() -> list[URLPattern]:
    """Return the pages in the order in which they were added."""
    return list(_pages)
