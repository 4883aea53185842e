"""Empties the database after a test that commits, without the half a second that Django's `flush` takes.

`flush` empties every table, writes the content types and permissions anew, and lets the journal compare all
of its triggers. Most tests leave a few rows in a few tables.
"""

from functools import cache
from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase

from core.journal.models import Beginning

KEPT = {model._meta.db_table for model in (ContentType, Permission, Beginning)}
LARGEST = 2_000_000  # bytes of a table whose rows are deleted; larger ones are given new files


def install() -> None:
    """Let Django's own test cases clean up like this, from before the first test on."""
    _beginning()
    TransactionTestCase._fixture_teardown = lambda case: empty_database()


def empty_database() -> None:
    """Delete the rows of all models, but for those that migrations keep up to date."""
    if not _is_superuser():
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_filled())
        filled = dict(cursor.fetchall())
        if any(size > LARGEST for size in filled.values()):
            cursor.execute(f"TRUNCATE {', '.join(_tables())}")
        elif filled:
            # neither triggers nor foreign keys matter where everything goes
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(";".join(f"DELETE FROM {table}" for table in filled))
        cursor.execute(f"UPDATE {Beginning._meta.db_table} SET at = %s WHERE at <> %s", [_beginning()] * 2)


@cache
def _is_superuser() -> bool:
    return _ask("SELECT current_setting('is_superuser') = 'on'")


@cache
def _beginning() -> Any:
    """Since when the journal knows everything, as it was before the first test."""
    return Beginning.objects.get().at


@cache
def _tables() -> list[str]:
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return [connection.ops.quote_name(name) for name in sorted(set(names) - KEPT)]


@cache
def _filled() -> str:
    """A statement for the tables that have rows, with their sizes."""
    return " UNION ALL ".join(
        f"SELECT '{table}', pg_relation_size('{table}') WHERE EXISTS (SELECT FROM {table})"
        for table in _tables()
    )


def _ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]
