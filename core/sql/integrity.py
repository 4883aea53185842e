"""Integrity errors of PostgreSQL, translated into the domain errors of the rules that were broken."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from psycopg import Error

from core.errors import DomainError


@contextmanager
def translate_integrity_errors(errors: Mapping[str, DomainError]) -> Iterator[None]:
    """Raise the domain error for the constraint that a write inside violates, by the constraint's name.

    The writes run in a savepoint, so the transaction can go on afterwards. The violation of a constraint
    that is not named here is a bug and is raised as IntegrityError.
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
