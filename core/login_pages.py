"""Where somebody goes who has just logged in to the admin."""

from urllib.parse import urlsplit

from django.urls import Resolver404, resolve, reverse

NO_PAGES_TO_RETURN_TO = ("login", "logout", "autocomplete", "jsi18n")


def page_after_login(address: str) -> str:
    """Return the address if it leads to a page of the admin, otherwise the start page's."""
    start = reverse("admin:index")
    parts = urlsplit(address)
    place = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    try:
        match = resolve(place)
    except Resolver404:
        return start
    is_page = match.namespace == "admin" and match.url_name not in NO_PAGES_TO_RETURN_TO
    return address if is_page and "url" not in match.kwargs else start
