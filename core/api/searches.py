"""What a search may cost: time in the database, and the kind and number of public regular expressions."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import BoundedSemaphore

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import errors as postgres

from core.errors import InvalidInput, Overloaded
from core.representation.conditions import Matches, QuerySyntaxError
from core.representation.regular_expressions import PatternFault, check_cheap
from core.tenancy.callers import Caller, CallerKind

PUBLIC_SEARCH_MILLISECONDS = 300
slots = BoundedSemaphore(settings.PUBLIC_REGEX_SEARCHES)


class SearchTookTooLong(InvalidInput):
    """The search reached the statement timeout; sending it again would cost the same."""

    code = "search_took_too_long"


def limits_of(patterns: Sequence[Matches], caller: Caller) -> AbstractContextManager[None]:
    """Return the context in which a search with these regular expressions runs.

    Services search within the statement timeout. Anonymous callers and customers have 300 ms, a slot of the
    few that a process has for that, and no expensive expressions: raises QuerySyntaxError for those.
    """
    if caller.kind is CallerKind.SERVICE:
        return nullcontext()
    for test in patterns:
        try:
            check_cheap(test.pattern)
        except PatternFault as fault:
            raise QuerySyntaxError(fault.reason, test.position) from None
    return public_search()


def refuse_long_search(error: OperationalError) -> None:
    """Raise SearchTookTooLong when that is why the search failed: a statement reached its timeout."""
    if isinstance(error.__cause__, postgres.QueryCanceled):
        raise SearchTookTooLong(
            "The request took too long; narrow the search or simplify the regular expression.", field="q"
        ) from error


@contextmanager
def public_search() -> Iterator[None]:
    """Run what is inside with 300 ms for each statement, in one of the process's slots for that.

    Raises Overloaded when all are taken.
    """
    if not slots.acquire(blocking=False):
        raise Overloaded(
            "Other searches with regular expressions are running; try again in a moment.", retry_after=1
        )
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [PUBLIC_SEARCH_MILLISECONDS])
            yield
    finally:
        slots.release()
