"""What the database refused, said as the rule that it kept."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from psycopg import Error

from core.errors import DomainError


@contextmanager
def refused_as(errors: Mapping[str, DomainError]) -> Iterator[None]:
    """Raise the error of the constraint that a write inside breaks, by the constraint's name.

    The writes run in a savepoint, so the transaction goes on after the refusal. A constraint that is not
    named here is a fault of ours and rises as IntegrityError.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as violation:
        cause = violation.__cause__
        name = cause.diag.constraint_name if isinstance(cause, Error) else None
        if name is None or name not in errors:
            raise
        raise errors[name] from violation
