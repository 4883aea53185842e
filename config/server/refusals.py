"""Requests that the server refuses itself: they also have an id, a log line and a counter."""

from time import perf_counter, time
from wsgiref.types import WSGIEnvironment

from django.conf import settings

from config.server.responses import Exchange, Response, send
from core.observation.access_log import AccessLine, access_log
from core.observation.metrics import REQUESTS_REFUSED
from core.observation.requests import ARRIVED_AT, METHODS, NO_ROUTE, given_id


def refuse(environ: WSGIEnvironment, protocol: Exchange, response: Response, reason: str) -> None:
    """Send the response with the request's id, and record the refusal."""
    identifier = given_id(environ)
    header = (b"x-request-id", identifier.encode())
    send(protocol, response._replace(headers=[*response.headers, header]))
    REQUESTS_REFUSED.labels(reason).inc()
    if settings.ACCESS_LOG:
        waited = perf_counter() - environ.get(ARRIVED_AT, perf_counter())
        method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "other"
        route = f"{NO_ROUTE} refused: {reason}"
        access_log.add(AccessLine(time(), identifier, "", method, route, response.status, waited, waited, 0))
