"""Validity windows: `valid_from` to `valid_to`, both ends included, an absent end open."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from core.sql.composition import Sql, composed_once, expression, identifier, sql


def window_contains(at: datetime, prefix: str = "") -> Q:
    """Rows whose window contains `at`; `prefix` is the path to another model's window ("segment__")."""
    return (Q(**{f"{prefix}valid_from__isnull": True}) | Q(**{f"{prefix}valid_from__lte": at})) & (
        Q(**{f"{prefix}valid_to__isnull": True}) | Q(**{f"{prefix}valid_to__gte": at})
    )


def open_at(at: datetime | Sql, alias: str) -> Sql:
    """The same rule as a condition in SQL; `alias` names the table of the window.

    `at` is the instant, or an expression for it: a statement with many windows reads it from a column.
    """
    return window(alias, at=expression(at))


@composed_once
def window(alias: str, *, at: Sql) -> Sql:
    return sql(
        "({table}.valid_from IS NULL OR {table}.valid_from <= {at})"
        " AND ({table}.valid_to IS NULL OR {table}.valid_to >= {at})",
        table=identifier(alias),
        at=at,
    )


def opens_before_it_closes(name: str) -> models.CheckConstraint:
    """A window never ends before it starts."""
    return models.CheckConstraint(
        condition=Q(valid_from__isnull=True) | Q(valid_to__isnull=True) | Q(valid_from__lte=F("valid_to")),
        name=name,
    )
