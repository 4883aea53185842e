"""Which reads go to a replica, and whether one may be asked.

The state comes from the thread that watches the servers (config/server/replicas.py). A request routes its
reads once its token was verified on the primary; a replica that fails is left out, and the primary answers
instead.
"""

import re
import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from time import monotonic

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from core.observation.metrics import counter, gauge

REVISION = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
# How PostgreSQL says that it is not there (any more), or that replaying took rows away from a reader.
GONE = re.compile(r"08...|57P0[1-5]|40001|25006")
READS = counter("replica_reads", "Requests whose reads were routed, by where they went.", ("target",))
LAG = gauge("replica_lag_seconds", "How old what a replica shows may be.", ("replica",), of_all="livemax")

_route: ContextVar[str] = ContextVar("route", default=DEFAULT_DB_ALIAS)


def position_of(revision: str) -> int:
    """Return a revision as a number that grows with every write."""
    high, _, low = revision.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


class Replica:
    """What is known of one replica: since when it shows everything, and how far it has replayed."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.fresh_at: float | None = None  # it shows all that was committed then; None: it cannot be asked
        self.position = 0

    def is_within(self, seconds: float) -> bool:
        return self.fresh_at is not None and monotonic() - self.fresh_at <= seconds


class Replicas:
    """The replicas of this process, which take turns."""

    def __init__(self) -> None:
        self.all: list[Replica] = []
        self.max_lag = 0.0
        self.prepare: Callable[[str], None] = lambda alias: None
        self._turn = 0
        self._lock = threading.Lock()

    def configure(self, aliases: list[str], *, max_lag: float, prepare: Callable[[str], None]) -> None:
        self.all = [Replica(alias) for alias in aliases]
        self.max_lag, self.prepare = max_lag, prepare

    def choose(self, least: int = 0) -> str:
        """Return the alias of a replica that lags little and has replayed `least`, else of the primary."""
        with self._lock:
            self._turn += 1
            turn = self._turn
        for offset in range(len(self.all)):
            replica = self.all[(turn + offset) % len(self.all)]
            if replica.is_within(self.max_lag) and replica.position >= least:
                return replica.alias
        return DEFAULT_DB_ALIAS

    def leave_out(self, alias: str) -> None:
        """Ask the replica no more until it was looked at again."""
        for replica in self.all:
            if replica.alias == alias:
                replica.fresh_at = None


replicas = Replicas()


def present_revision() -> str:
    """Return how far the primary's log is: a read that names it shows everything committed so far."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
        [revision] = cursor.fetchone()
    return str(revision)


def route_reads(least: int = 0) -> None:
    """Send the reads of this request to a replica, if there is one that may be asked."""
    alias = replicas.choose(least)
    READS.labels(alias).inc()
    if alias != DEFAULT_DB_ALIAS:
        replicas.prepare(alias)
        _route.set(alias)


def begin_route() -> Token[str]:
    """Read from the primary until `route_reads` says otherwise; `end_route` takes both back."""
    return _route.set(DEFAULT_DB_ALIAS)


def end_route(token: Token[str]) -> None:
    _route.reset(token)


read_alias = _route.get
"""Returns where reads go now."""


def has_failed(error: OperationalError) -> bool:
    """Say whether an error means that this server cannot answer, though the primary may."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or GONE.fullmatch(state) is not None


def read_from_primary() -> None:
    """Leave the replica of this request out, and read from the primary from now on."""
    replicas.leave_out(_route.get())
    _route.set(DEFAULT_DB_ALIAS)
