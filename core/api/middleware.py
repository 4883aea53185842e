import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, get_resolver

from core.actors import REQUEST_ID_KEY, Actor, ActorType, claimed
from core.api.errors import unknown_path_response, wrong_host_response
from core.memory import LARGE_BODY, trim_soon
from core.sql.replicas import begin_route, end_route, present_revision, replicas

BROWSER_ROOTS = frozenset({"", "admin", "static", "docs", "shop"})
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_REMEMBERED_PATH = 200
REMEMBERED_PATHS = 4_096
REMEMBERED_HOSTS = 1_000
LONGEST_LOGGED_HOST = 100

security_logger = logging.getLogger("django.security.DisallowedHost")


class AllowedHosts:
    """Refuses every request whose header Host is not in ALLOWED_HOSTS, except for the probes.

    Django checks the host only where a view or a middleware asks for it, which no view of the API does, and
    logs a traceback for each wrong one. Hosts found right before are remembered.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.remembered: set[str] = set()
        setting_changed.connect(self.forget)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        host = request.META.get("HTTP_HOST", "")
        if host not in self.remembered and request.path_info.rstrip("/") not in settings.PROBE_PATHS:
            try:
                request.get_host()
            except DisallowedHost:
                return refuse_host(host or request.META["SERVER_NAME"])
            if host and len(self.remembered) < REMEMBERED_HOSTS:
                self.remembered.add(host)
        return self.get_response(request)

    def forget(self, **signal: object) -> None:
        """Take nothing for right that was so under other settings."""
        self.remembered.clear()


def refuse_host(host: str) -> HttpResponse:
    """Log the host in one line, whatever characters it has, and answer 400."""
    security_logger.warning(
        "A request for the host %r was refused. If it is one of this service, add it to ALLOWED_HOSTS.",
        host[:LONGEST_LOGGED_HOST],
    )
    return wrong_host_response()


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

    It hands the request to the view itself, so that what follows it in the settings (static files,
    sessions, CSRF, messages) costs only pages for browsers. The API needs none of it: its callers have
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
            return unknown_path_response(request, unknown)
        request.resolver_match = match
        visitor = Actor(
            ActorType.ANONYMOUS, "", source_type="request", source_id=request.META.get(REQUEST_ID_KEY, "")
        )
        token = claimed.set(visitor)  # until the token of the request says more
        route = begin_route() if replicas.all else None
        try:
            answer = match.func(request, *match.args, **match.kwargs)
            if callable(render := getattr(answer, "render", None)):
                answer = render()
        finally:
            claimed.reset(token)
            if route is not None:
                end_route(route)
        if route is not None and request.method not in READ_METHODS and 200 <= answer.status_code < 300:
            answer.headers["X-Revision"] = present_revision()
        size = 0 if answer.streaming else len(answer.content)
        if not answer.streaming and "Content-Length" not in answer.headers:
            answer.headers["Content-Length"] = str(size)
        if size > LARGE_BODY or int(request.META.get("CONTENT_LENGTH") or 0) > LARGE_BODY:
            trim_soon()
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
    match = get_resolver(urlconf).resolve(path)
    match.tried = None  # the routes before it, which nobody reads: 8 KB an address
    return match
