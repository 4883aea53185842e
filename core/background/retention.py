"""How long rows are kept that only a clean-up deletes. Apps register what they keep in `AppConfig.ready`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import QuerySet

from core.background.tasks import SLICE_ROWS, Task, register_task

EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Retention:
    """Rows of one kind and the time for which they are kept after they are over.

    `delete` deletes rows that were over before an instant, about as many as it is asked for and no more than
    a transaction should, and returns how many; less than asked for means that no more are left.
    """

    name: str
    noun: str
    keep: timedelta
    delete: Callable[[datetime, int], int]


_retentions: dict[str, Retention] = {}


def register_retention(*retentions: Retention) -> None:
    """Let `purge` know these rows, and workers delete them every hour."""
    for retention in retentions:
        _retentions[retention.name] = retention
        register_task(Task(f"purge {retention.name}", run=partial(_purge_slice, retention), interval=EVERY))


def registered_retentions() -> dict[str, Retention]:
    return dict(_retentions)


def _purge_slice(retention: Retention, at: datetime) -> bool:
    return retention.delete(at - retention.keep, SLICE_ROWS) >= SLICE_ROWS


@transaction.atomic
def delete_some(rows: QuerySet, most: int) -> int:
    """Delete at most so many of the rows, in their order, without those that somebody has locked.

    What refers to them must be deleted by the database itself. The rows are chosen by a statement of their
    own: a subquery that skips locked rows may be run more than once, and would choose others each time.
    """
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    chosen = list(locked.values_list("pk", flat=True)[:most])
    if not chosen:
        return 0
    deleted = rows.model._default_manager.filter(pk__in=chosen).order_by()
    return deleted._raw_delete(rows.db)


def delete_some_of_each(parts: Sequence[QuerySet], most: int) -> int:
    """Delete at most so many rows of the parts together; a part only when those before it are empty."""
    count = 0
    for rows in parts:
        if count < most:
            count += delete_some(rows, most - count)
    return count
