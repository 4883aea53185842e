"""Counts as the merchandiser's tools show them: exact, or "at least" where counting takes too long."""

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta

from core.bodies import Body
from core.sql.composition import Sql, SqlValues, integer, sql
from core.sql.time_limits import fetch_within

MOST_COUNTED: Final = 10_000
NO_LIMIT: Final = Sql("")


class Count(Body, kw_only=True):
    """How many there are."""

    value: Annotated[int, Meta(description="The number.")]
    exact: Annotated[
        bool,
        Meta(description="False when counting took longer than a second: there are at least `value`."),
    ] = True

    def __str__(self) -> str:
        return f"{self.value:,}" if self.exact else f"at least {self.value:,}"


NONE: Final = Count(value=0)


def counted(statement: Callable[[Sql], Sql], columns: int) -> list[Count]:
    """Return the numbers in the one row of a statement, within about two seconds.

    The statement is made with the LIMIT of the rows that it counts from: none at first, and when that takes
    longer than a second one of 10,000; when that takes longer as well, the numbers are "at least 0".
    """
    for limit, is_exact in ((NO_LIMIT, True), (sql(" LIMIT {most}", most=integer(MOST_COUNTED)), False)):
        if (rows := fetch_within(statement(limit))) is not None:
            values: SqlValues = rows[0]
            return [Count(value=value, exact=is_exact) for value in values]
    return [Count(value=0, exact=False) for _ in range(columns)]
