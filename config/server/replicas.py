"""Watches the replicas of a web worker.

Twice a second the position of the primary's log is noted, with the time before it was asked. A replica that
has replayed as far as such a position shows everything that was committed at that time. So its lag is known
without writing anything, on a quiet primary too. A replica that cannot be reached is left out until it can.
"""

import logging
import time
from collections import deque
from dataclasses import dataclass
from functools import partial

from django.db import DEFAULT_DB_ALIAS, Error, connections

from config.server.connections import close_if_unusable
from core.paced_threads import PacedThread
from core.sql.replicas import LAG, Replica, position_of, replicas

PAUSE = 0.5  # seconds between two looks at a server
MOST_BEATS = 240
POSITION = "SELECT pg_current_wal_insert_lsn()::text"
REPLAYED = "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn()::text"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beat:
    """How far the primary's log was at a time of this machine's monotonic clock."""

    at: float
    position: int


class Watch:
    """Threads of a web worker: one notes the primary's position, one for each replica looks how far it is."""

    def __init__(self) -> None:
        self.beats: deque[Beat] = deque(maxlen=MOST_BEATS)

    def start(self) -> None:
        PacedThread(self.note_primary, seconds=PAUSE, name="primary's position").start()
        for replica in replicas.all:
            PacedThread(partial(self.look_at, replica), seconds=PAUSE, name=f"lag of {replica.alias}").start()

    def note_primary(self) -> None:
        at = time.monotonic()
        try:
            [position] = _row(DEFAULT_DB_ALIAS, POSITION)
        except Error:
            connections[DEFAULT_DB_ALIAS].close()
        else:
            self.beats.append(Beat(at, position_of(str(position))))

    def look_at(self, replica: Replica) -> None:
        """Note since when the replica shows everything; not at all when it cannot be asked."""
        try:
            is_replica, replayed = _row(replica.alias, REPLAYED)
        except Error as error:
            connections[replica.alias].close()
            if replica.fresh_at is not None:
                logger.warning("%s is left out: %s", replica.alias, type(error).__name__)
            replica.fresh_at = None
            return
        if not is_replica or replayed is None:
            if replica.fresh_at is not None:
                logger.warning("%s is left out: it is no replica any more.", replica.alias)
            replica.fresh_at = None
            return
        position = position_of(str(replayed))
        shown = max((beat.at for beat in [*self.beats] if beat.position <= position), default=None)
        if shown is not None and replica.fresh_at is None:
            logger.info("%s is asked again.", replica.alias)
        replica.position, replica.fresh_at = position, shown
        if shown is not None:
            LAG.labels(replica.alias).set(time.monotonic() - shown)


def _row(alias: str, statement: str) -> tuple[object, ...]:
    connection = connections[alias]
    close_if_unusable(connection)  # type: ignore[arg-type]
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found: tuple[object, ...] = cursor.fetchone()
    return found


def configure_replicas(max_lag: float) -> None:
    """Have reads of requests go to the replicas in the settings."""
    aliases = [alias for alias in connections if alias.startswith("replica")]

    def prepare(alias: str) -> None:
        close_if_unusable(connections[alias])  # type: ignore[arg-type]

    replicas.configure(aliases, max_lag=max_lag, prepare=prepare)
