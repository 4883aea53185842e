"""The page that Prometheus reads: `GET /metrics` with the token METRICS_TOKEN."""

import logging
import os
from collections.abc import Iterator
from hmac import compare_digest
from pathlib import Path

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config.server.metrics_folder import VARIABLE, forget_ended_processes
from core.observation.metrics import PREFIX, REGISTRY, registered_readings

FAILED = PREFIX + "readings_failed"

logger = logging.getLogger(__name__)


def metrics(request: HttpRequest) -> HttpResponse:
    """Show the metrics of all processes of this server, and what the database tells.

    404 without METRICS_TOKEN, 401 for another token. A database that is away leaves out its readings only.
    """
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not settings.METRICS_TOKEN:
        return refusal(404, "Not Found", "Set METRICS_TOKEN to have metrics here.")
    given = request.META.get("HTTP_AUTHORIZATION", "")
    if not compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
        response = refusal(401, "Unauthorized", "Send METRICS_TOKEN as the bearer token.")
        response["WWW-Authenticate"] = "Bearer"
        return response
    page = HttpResponse(b"".join(expositions()), content_type=CONTENT_TYPE_LATEST)
    page["Cache-Control"] = "no-store"
    return page


def refusal(status: int, reason: str, message: str) -> HttpResponse:
    return JsonResponse({"code": status, "status": reason, "message": message}, status=status)


def expositions() -> Iterator[bytes]:
    """Yield the metrics of the processes, then the readings."""
    if folder := os.environ.get(VARIABLE):
        forget_ended_processes(Path(folder))
        summed = CollectorRegistry()
        MultiProcessCollector(summed, folder)
        yield generate_latest(summed)
    else:
        yield generate_latest(REGISTRY)
    readings = CollectorRegistry()
    readings.register(ReadingsCollector())
    yield generate_latest(readings)


class ReadingsCollector(Collector):
    """What the registered sources read from the database now."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        at = timezone.now()
        failed = GaugeMetricFamily(FAILED, "Whether what this source reads is missing.", labels=["source"])
        for source, read in registered_readings().items():
            try:
                readings = list(read(at))
            except Error as error:
                logger.warning("The metrics of %s could not be read: %s", source, type(error).__name__)
                failed.add_metric([source], 1)
                continue
            failed.add_metric([source], 0)
            for reading in readings:
                family = GaugeMetricFamily(
                    PREFIX + reading.name, reading.description, labels=list(reading.labels)
                )
                for values, number in sorted(reading.values.items()):
                    family.add_metric(list(values), number)
                yield family
        yield failed
