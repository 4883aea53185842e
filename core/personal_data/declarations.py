"""What every text and JSON column of the database holds: each app declares its own in `personal_data.py`.

tests/architecture/test_personal_data.py compares the declarations with the columns that there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from django.db import models


@dataclass(frozen=True, slots=True)
class Holding:
    """What a column holds, and what the erasure of a customer does with it. `reason` says why it may stay."""

    action: Literal["erase", "pseudonym", "keep"]
    reason: str = ""


ERASE: Final = Holding("erase")
"""Personal data: the row is deleted with its customer, or the text is emptied."""
PSEUDONYM: Final = Holding("pseudonym")
"""A customer's number, which gives way to the customer's pseudonym."""


def KEEP(reason: str) -> Holding:  # noqa: N802 -- reads as its neighbours do
    """Return a holding that is no personal data of a customer, for this reason."""
    if not reason:
        raise ValueError("Say why the column holds no personal data.")
    return Holding("keep", reason)


_declared: dict[str, dict[str, Holding]] = {}


def declare(table: type[models.Model] | str, columns: Mapping[str, Holding]) -> None:
    """Say what the text and JSON columns of a table hold."""
    name = table if isinstance(table, str) else table._meta.db_table
    _declared.setdefault(name, {}).update(columns)


def each(holding: Holding, *columns: str) -> dict[str, Holding]:
    """Return the same holding for several columns."""
    return dict.fromkeys(columns, holding)


def declared_columns() -> dict[tuple[str, str], Holding]:
    """Return all declarations, by table and column."""
    return {
        (table, column): holding
        for table, columns in _declared.items()
        for column, holding in columns.items()
    }
