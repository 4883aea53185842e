"""What all writes of this app share: rows that could not be read, and batches of one row."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from core.errors import DomainError
from core.sql.upserts import BatchPlan, RowResult

Row = TypeVar("Row")


def accepted_rows(rows: Sequence[Row | DomainError], plan: BatchPlan) -> Iterator[tuple[int, Row]]:
    """Yield the rows that could be read, with their positions; the plan rejects the others."""
    for position, row in enumerate(rows):
        if isinstance(row, DomainError):
            plan.reject(position, row)
        else:
            yield position, row


def only_outcome(outcomes: Sequence[RowResult]) -> RowResult:
    """Return the outcome of a batch of one row; raise its error if it was refused."""
    [outcome] = outcomes
    if outcome.error:
        raise outcome.error
    return outcome
