"""The metrics of a process, in the form of Prometheus.

Under `manage.py serve` all processes of the server keep their values in files of one folder
(PROMETHEUS_MULTIPROC_DIR, which config.server.metrics_folder sets), and whichever worker is asked adds them
up. Elsewhere they stay in this process.

A package defines its own families with `counter`, `gauge` and `histogram`. What a look at the database tells
is a reading: see `register_readings`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.observation.value_files import allocate_files_of_values

PREFIX = "segments_"
LATENCIES = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATEMENTS = (0, 1, 2, 3, 4, 6, 8, 12, 20, 50, 100)

allocate_files_of_values()
REGISTRY = CollectorRegistry()


def counter(name: str, description: str, labels: Sequence[str] = ()) -> Counter:
    """Define a number that only grows; `_total` is added to its name."""
    return Counter(PREFIX + name, description, labels, registry=REGISTRY)


def gauge(
    name: str,
    description: str,
    labels: Sequence[str] = (),
    *,
    of_all: Literal["livesum", "livemax"] = "livesum",
) -> Gauge:
    """Define a number of the present moment; of all living processes the sum or the largest is shown."""
    return Gauge(PREFIX + name, description, labels, registry=REGISTRY, multiprocess_mode=of_all)


def histogram(
    name: str, description: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCIES
) -> Histogram:
    return Histogram(PREFIX + name, description, labels, registry=REGISTRY, buckets=buckets)


@dataclass(frozen=True, slots=True)
class Reading:
    """A gauge that is read whenever somebody asks; `values` are by the values of `labels`."""

    name: str
    description: str
    values: dict[tuple[str, ...], float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @classmethod
    def single(cls, name: str, description: str, value: float) -> "Reading":
        """Return a reading without labels."""
        return cls(name, description, {(): value})


Readings = Callable[[datetime], Iterable[Reading]]
_readings: dict[str, Readings] = {}


def register_readings(source: str, read: Readings) -> None:
    """Have `read` called at every scrape. It takes the present time and a few cheap look-ups.

    A source that fails leaves the others alone: `segments_readings_failed{source="..."}` is 1 then.
    """
    _readings[source] = read


def registered_readings() -> dict[str, Readings]:
    return dict(_readings)


REQUEST_SECONDS = histogram(
    "http_request_seconds",
    "Time from the arrival of a request to its response, by route, method and status.",
    ("route", "method", "status"),
)
REQUEST_STATEMENTS = histogram(
    "http_request_statements",
    "Statements that a request sent to PostgreSQL, by route.",
    ("route",),
    STATEMENTS,
)
REQUESTS_REFUSED = counter(
    "http_requests_refused",
    "Requests that the server refused before Django saw them, by reason.",
    ("reason",),
)
THROTTLED = counter("throttled", "Attempts that were refused with 429, by what is limited.", ("limit",))
