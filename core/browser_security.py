"""The Content-Security-Policy of pages for browsers."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
TECHNICAL_PAGES = frozenset({404, 500})


class ContentSecurityPolicy:
    """Sends the policy `settings.SECURE_CSP` with every page that does not bring one of its own.

    The setting has the form of Django 6.0's, whose middleware can take this one's place. Django's technical
    pages for development hold inline scripts and are sent without a policy.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.policy = policy_text(settings.SECURE_CSP)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not (settings.DEBUG and response.status_code in TECHNICAL_PAGES):
            response.headers.setdefault(HEADER, self.policy)
        return response


def policy_text(directives: dict[str, list[str]]) -> str:
    """Return the header's value for a map of directive to sources."""
    return "; ".join(" ".join((name, *sources)) for name, sources in directives.items())
