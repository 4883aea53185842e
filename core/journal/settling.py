"""Recent changes, and how they settle: the background worker moves them into their months.

Every write of a request would pay for each of ten indexes of a month. So triggers append what it changes to a
partition that has hardly any, and a moment later many rows are moved at once. Readers of the journal see a
change in exactly one of the two.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from core.journal.copying import after_of_any
from core.journal.models import Change
from core.journal.partitions import RECENT, SETTLED
from core.sql.composition import Sql, identifier, identifiers, integer, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.locks import Lock, try_lock

SETTLED_AT_ONCE = 5_000
COLUMNS = [one.column for one in Change._meta.concrete_fields]

_before_settling: list[Callable[[Sql], object]] = []


def before_settling(run: Callable[[Sql], object]) -> None:
    """Call `run` with the ids of changes (a bigint[]) before they settle, in the same transaction."""
    _before_settling.append(run)


def unsettled_since() -> datetime | None:
    """Return when one of the first recent changes was written; None without any."""
    rows = fetch_rows(sql("SELECT at FROM {recent} LIMIT 1", recent=identifier(RECENT)))
    return rows[0][0] if rows else None


def settle_all() -> None:
    """Settle all recent changes that are committed, as far as nobody holds them up."""
    while settle_changes(timezone.now()):
        pass


@transaction.atomic
def settle_changes(at: datetime) -> bool:
    """Move some recent changes into their months; say whether there may be more.

    Whoever has to find each change in one place holds `Lock.SETTLING`: then nothing is moved now. Rows that
    somebody deletes are left to them, as others would wait for the lock meanwhile.
    """
    if not try_lock(Lock.SETTLING):
        return False
    chosen = sql(
        "SELECT id FROM {recent} LIMIT {most} FOR UPDATE SKIP LOCKED",
        recent=identifier(RECENT),
        most=integer(SETTLED_AT_ONCE),
    )
    ids = [number for (number,) in fetch_rows(chosen)]
    if not ids:
        return False
    settling = param(ids, "bigint[]")
    for run in _before_settling:
        run(settling)
    execute(
        sql(
            "WITH moved AS (DELETE FROM {recent} WHERE id = ANY({ids}) RETURNING *)"
            " INSERT INTO {settled} ({columns}) SELECT {values} FROM moved AS change ORDER BY id",
            recent=identifier(RECENT),
            settled=identifier(SETTLED),
            ids=settling,
            columns=identifiers(COLUMNS),
            values=Sql.joined(
                ", ", (Sql(after_of_any()) if name == "after" else identifier(name) for name in COLUMNS)
            ),
        )
    )
    return len(ids) == SETTLED_AT_ONCE
