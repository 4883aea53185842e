"""What a search may cost: time in the database, and the kind and number of public regular expressions."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import BoundedSemaphore

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import errors as postgres

from core.errors import InvalidInput, Overloaded
from core.representation.query_language import Condition, Matches, QuerySyntaxError, terms_of
from core.representation.regular_expressions import PatternFault, check_cheap
from core.tenancy.callers import Caller, CallerKind

PUBLIC_SEARCH_MILLISECONDS = 300
slots = BoundedSemaphore(settings.PUBLIC_REGEX_SEARCHES)


class SearchTookTooLong(InvalidInput):
    """The search reached the statement timeout; sending it again would cost the same."""

    code = "search_took_too_long"


def limits_of(query: Sequence[Condition], caller: Caller) -> AbstractContextManager[None]:
    """Return the context in which the search runs.

    Services search within the statement timeout. Anonymous callers and customers who send a regular
    expression have 300 ms, a slot of the few that a process has for that, and no expensive expressions:
    raises QuerySyntaxError for those.
    """
    if not query:
        return nullcontext()
    matches = [term.test for term in terms_of(query) if isinstance(term.test, Matches)]
    if not matches or caller.kind is CallerKind.SERVICE:
        return search_time_limit()
    for test in matches:
        try:
            check_cheap(test.pattern)
        except PatternFault as fault:
            raise QuerySyntaxError(fault.reason, test.position) from None
    return public_search()


@contextmanager
def search_time_limit() -> Iterator[None]:
    """Raise SearchTookTooLong when a statement inside reaches the statement timeout."""
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, postgres.QueryCanceled):
            raise SearchTookTooLong(
                "The request took too long; narrow the search or simplify the regular expression.", field="q"
            ) from error
        raise


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
        with search_time_limit(), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [PUBLIC_SEARCH_MILLISECONDS])
            yield
    finally:
        slots.release()
