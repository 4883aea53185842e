"""Every request has an id, one line in the access log, and its place in the metrics."""

import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from random import getrandbits

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.actors import REQUEST_ID_KEY
from core.observation.access_log import AccessLine, access_log
from core.observation.metrics import REQUEST_SECONDS, REQUEST_STATEMENTS
from core.sql.statements import statements
from core.tenancy.callers import Caller

REQUEST_ID = re.compile(r"[A-Za-z0-9._:~@-]{1,64}")
ARRIVED_AT = "segments.arrived_at"  # of environ: when the web server had the headers, by time.perf_counter
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
NO_ROUTE = "(none)"
# An argument of a route, in the form of `path` or of `re_path`; else what only regular expressions have.
ARGUMENT = re.compile(r"\(\?P<(\w+)>[^()]*\)|<(?:\w+:)?(\w+)>|[\^$]")


_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)
_metrics: dict[tuple[str, str, int], tuple[Callable[[float], None], Callable[[float], None], bool]] = {}


def current_request() -> HttpRequest | None:
    """Return the request that this thread answers; None outside of one."""
    return _request.get()


def trace_id_of(request: HttpRequest) -> str:
    """Return the trace id of the header traceparent (W3C Trace Context); empty without a valid one."""
    header = request.META.get("HTTP_TRACEPARENT")
    found = TRACEPARENT.fullmatch(header) if header else None
    return found[1] if found else ""


def given_id(meta: Mapping[str, str]) -> str:
    """Return the id that the client or a proxy gave a request, else its trace id, else a new one."""
    given = meta.get(REQUEST_ID_KEY)
    if given is not None and REQUEST_ID.fullmatch(given):
        return given
    traced = TRACEPARENT.fullmatch(meta["HTTP_TRACEPARENT"]) if "HTTP_TRACEPARENT" in meta else None
    # nobody has to be unable to guess it, and asking the system for it lets another thread go first
    return traced[1] if traced else f"{getrandbits(64):016x}"  # noqa: S311


@lru_cache(maxsize=1_024)
def route_name(pattern: str) -> str:
    """Return a route of Django in the form of the OpenAPI document: `/coupon/{tenant}/coupons/{code}`."""

    def named(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return f"{{{name}}}" if name else ""

    return "/" + ARGUMENT.sub(named, pattern)


def route_of(request: HttpRequest) -> str:
    """Return the route that answers the request.

    Addresses themselves are never a label, nor logged: there is no end to them, and they name customers and
    coupons.
    """
    match = request.resolver_match
    if match is not None:
        return route_name(match.route)
    return "/static/{path}" if request.path_info.startswith(settings.STATIC_URL) else NO_ROUTE


def names_of_caller(request: HttpRequest) -> tuple[str, str, str]:
    """Return tenant, client, and the kind of token; of staff their number. Empty where nobody is known.

    Nothing is read from the database for it.
    """
    known = request.__dict__
    caller = known.get("user")
    if type(caller) is Caller:  # isinstance would make Django look up who is logged in
        return caller.tenant.name, caller.client_id, caller.kind
    staff = known.get("_cached_user")  # where Django's authentication keeps who is logged in
    return ("", str(staff.pk), "staff") if staff is not None and staff.pk else ("", "", "")


class ObservedRequests:
    """The first middleware: gives the request its id, and records what became of it.

    The id comes from `X-Request-Id`, else it is the trace id of `traceparent`, else a new one; it is returned
    in `X-Request-Id`, and log lines and the journal name it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        began = time.perf_counter()
        identifier = meta[REQUEST_ID_KEY] = given_id(meta)
        sent = statements.sent
        token = _request.set(request)
        try:
            response = self.get_response(request)
        finally:
            _request.reset(token)
        response.headers["X-Request-Id"] = identifier
        method = request.method if request.method in METHODS else "other"
        record(
            request,
            AccessLine(
                time.time(),
                identifier,
                trace_id_of(request) if "HTTP_TRACEPARENT" in meta else "",
                str(method),
                route_of(request),
                response.status_code,
                time.perf_counter() - meta.get(ARRIVED_AT, began),
                began - meta.get(ARRIVED_AT, began),
                statements.sent - sent,
                *names_of_caller(request),
            ),
        )
        return response


def record(request: HttpRequest, line: AccessLine) -> None:
    """Count the request, and write its line unless it is a probe."""
    key = (line.route, line.method, line.status)
    observe = _metrics.get(key)
    if observe is None:
        observe = _metrics[key] = (
            REQUEST_SECONDS.labels(*map(str, key)).observe,
            REQUEST_STATEMENTS.labels(line.route).observe,
            line.route in settings.PROBE_PATHS,
        )
    observe[0](line.seconds)
    observe[1](line.statements)
    if not observe[2] and settings.ACCESS_LOG:
        access_log.add(line)
