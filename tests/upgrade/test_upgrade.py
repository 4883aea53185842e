"""A filled database of the first layout is migrated forwards and keeps its rows.

See `make_dump` for how the dump is made, and for how long.
"""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from core.json_types import JsonObject
from tests.upgrade.databases import DUMP, fresh_database

Rows = dict[str, list[JsonObject]]
COLUMNS = """
SELECT table_name || '.' || column_name,
       data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public'
"""
CONSTRAINTS = """
SELECT conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
TRIGGERS = """
SELECT tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
"""
FUNCTIONS = """
SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
"""


def query(statement: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def tables() -> list[str]:
    return sorted(name for (name,) in query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


def all_rows() -> Rows:
    """Return the rows of every table, as maps of column to value."""
    return {
        table: [json.loads(row) for (row,) in query(f'SELECT to_jsonb(t) FROM "{table}" AS t ORDER BY 1')]
        for table in tables()
    }


def schema() -> dict[str, str]:
    """Return the definitions of all columns, constraints, indexes, triggers and functions."""
    return dict(
        row for statement in (COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS, FUNCTIONS) for row in query(statement)
    )


@pytest.fixture(scope="module")
def upgraded(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Rows]:
    """The rows of the dump, as they were; the connection is to the migrated database."""
    name = f"{connection.settings_dict['NAME']}_upgrade"
    with django_db_blocker.unblock(), fresh_database(name):
        with connection.cursor() as cursor:
            cursor.execute(DUMP.read_text())
        connection.close()  # the dump has changed the session's settings
        before = all_rows()
        call_command("migrate", interactive=False, verbosity=0)
        yield before


def test_the_dump_has_rows_in_every_table(upgraded: Rows) -> None:
    assert [table for table, rows in upgraded.items() if not rows] == []


def test_every_row_keeps_its_values(upgraded: Rows) -> None:
    """New tables, columns and rows of Django's own (permissions, migrations) may be added."""
    after = all_rows()
    kept = {
        table: [{column: row[column] for column in rows[0]} for row in after[table]]
        for table, rows in upgraded.items()
    }
    lost = {table: [row for row in rows if row not in kept[table]] for table, rows in upgraded.items()}
    assert {table: rows for table, rows in lost.items() if rows} == {}


def test_the_migrated_database_is_as_a_new_one(upgraded: Rows, django_db_blocker: DjangoDbBlocker) -> None:
    """Fails when a migration that the dump has applied is changed: write a new one, or see `make_dump`."""
    migrated = schema()
    with fresh_database(f"{connection.settings_dict['NAME']}_new"):
        call_command("migrate", interactive=False, verbosity=0)
        assert schema() == migrated


def test_every_change_of_a_model_has_its_migration(upgraded: Rows) -> None:
    output = StringIO()
    call_command("makemigrations", check_changes=True, dry_run=True, stdout=output, interactive=False)
    assert output.getvalue() == "No changes detected\n"
