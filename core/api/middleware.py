from collections.abc import Callable
from functools import lru_cache
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, get_resolver

from core.api.errors import answer_unknown_path

BROWSER_ROOTS = frozenset({"", "admin", "static", "docs"})
LONGEST_REMEMBERED_PATH = 200
REMEMBERED_PATHS = 4_096


class CorsForBrowsers(CorsMiddleware):
    """Passes on requests of programs, which send no Origin: the answer only says that it may depend on it."""

    def __call__(self, request: HttpRequest) -> Any:
        if "HTTP_ORIGIN" in request.META or request.method == "OPTIONS":
            return super().__call__(request)
        answer: Any = self.get_response(request)
        # what Django's patch_vary_headers comes to, at a tenth of its time
        vary = answer.headers.get("Vary")
        answer.headers["Vary"] = f"{vary}, origin" if vary else "origin"
        return answer


class ApiMiddleware:
    """Answers every address of the API; a trailing slash is accepted.

    It hands the request to the view itself, so that what stands behind it in the settings (static files,
    sessions, CSRF, messages) costs pages for browsers alone. The API needs none of it: its callers have
    bearer tokens.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path[1:].partition("/")[0] in BROWSER_ROOTS:
            return self.get_response(request)
        if path.endswith("/"):
            path = request.path_info = path.rstrip("/")
        try:
            match = resolved(path, settings.ROOT_URLCONF)
        except Resolver404 as unknown:
            return answer_unknown_path(request, unknown)
        request.resolver_match = match
        answer: Any = match.func(request, *match.args, **match.kwargs)
        if callable(render := getattr(answer, "render", None)):
            answer = render()
        if not answer.streaming and "Content-Length" not in answer.headers:
            answer.headers["Content-Length"] = str(len(answer.content))
        return answer


def resolved(path: str, urlconf: str) -> ResolverMatch:
    """Return the view of a path and its arguments; raise Resolver404.

    Addresses seen before are remembered: to try one route after the other takes as long as all that is
    left to do for a small answer.
    """
    if len(path) > LONGEST_REMEMBERED_PATH:
        return get_resolver(urlconf).resolve(path)
    return remembered(path, urlconf)


@lru_cache(maxsize=REMEMBERED_PATHS)
def remembered(path: str, urlconf: str) -> ResolverMatch:
    return get_resolver(urlconf).resolve(path)
