"""How many requests a second each tenant may send."""

import threading
from collections.abc import Mapping
from math import ceil
from time import monotonic

from core.errors import TooManyAttempts
from core.observation.metrics import THROTTLED

ALL = "*"
BURST = 2.0  # seconds of the rate that may come at once


class RateLimits:
    """How many requests a second each tenant may send to this process; a token bucket for each.

    `rates` are by the tenant's name, and under `*` for all others; a tenant with none has no limit.
    """

    def __init__(self) -> None:
        self.rates: Mapping[str, float] = {}
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and as of when
        self._lock = threading.Lock()

    def configure(self, rates: Mapping[str, float], *, processes: int) -> None:
        """Give this process its share of the rates of a machine."""
        self.rates = {name: rate / processes for name, rate in rates.items()}
        self._buckets.clear()

    def take(self, tenant: str) -> None:
        """Count a request; raise TooManyAttempts when the tenant has sent too many."""
        rate = self.rates.get(tenant) or self.rates.get(ALL)
        if rate is None:
            return
        most, now = max(rate * BURST, 1.0), monotonic()
        with self._lock:
            left, since = self._buckets.get(tenant, (most, now))
            left = min(most, left + (now - since) * rate)
            is_refused = left < 1.0
            self._buckets[tenant] = (left if is_refused else left - 1.0, now)
        if is_refused:
            THROTTLED.labels("requests of a tenant").inc()
            wait = max(1, ceil((1.0 - left) / rate))
            raise TooManyAttempts(
                f"The tenant sends too many requests; try again in {wait} seconds.", retry_after=wait
            )


rate_limits = RateLimits()
