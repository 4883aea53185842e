"""Brings the triggers of all recorded tables up to date, and makes partitions: after every `migrate`."""

from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.journal.declarations import Recorded, recorded
from core.journal.models import Beginning
from core.journal.partitions import SETTLED, make_partitions
from core.journal.triggers import (
    MARKING,
    TRANSITIONS,
    copying_name,
    create_copying,
    create_function,
    create_triggers,
    function_name,
    is_marked,
    trigger_name,
)

STORED = """
SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
WHERE table_schema = current_schema() GROUP BY table_name
"""
INSTALLED = """
SELECT tgrelid::regclass::text, tgname::text, obj_description(tgfoid, 'pg_proc')
FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'journal\\_%'
"""


def install_after_migrate(**signal: object) -> None:
    """Install what is missing; receives Django's signal `post_migrate`."""
    if signal["using"] != connection.alias or not is_migrated():
        return
    install_triggers(recorded())
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")  # the clock of the triggers
        [at] = cursor.fetchone()
    if is_divided():
        make_partitions(at)
    Beginning.objects.get_or_create(pk=1, defaults={"at": at})


def is_migrated() -> bool:
    """Say whether the journal's tables exist: `migrate <another app>` does not make them."""
    return Beginning._meta.db_table in connection.introspection.table_names()


def is_divided() -> bool:
    """Say whether the months have their own table: `migrate <another app>` of an upgrade makes none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [SETTLED])
        [is_there] = cursor.fetchone()
    return is_there


def install_triggers(declared: Iterable[Recorded]) -> None:
    """Make or renew the triggers whose tables exist. A table that has them as declared is not touched."""
    with connection.cursor() as cursor:
        cursor.execute(STORED)
        stored = dict(cursor.fetchall())
        cursor.execute(INSTALLED)
        installed = {(table, name): digest for table, name, digest in cursor.fetchall()}
        for one in declared:
            if one.table in stored:
                _install(cursor, one, stored, installed)


def _install(
    cursor: CursorWrapper,
    one: Recorded,
    stored: dict[str, list[str]],
    installed: dict[tuple[str, str], str],
) -> None:
    with transaction.atomic():
        for event in one.events:
            digest = digest_of(one, event, stored)
            known = installed.get((one.table, trigger_name(event)))
            is_to_mark = is_marked(one, event)
            # PostgreSQL drops it along with a column that it names
            has_mark = event == "UPDATE" and (one.table, MARKING) in installed
            if known == digest and has_mark == is_to_mark:
                continue
            cursor.execute(create_function(one, event, stored))
            cursor.execute(f"COMMENT ON FUNCTION {function_name(one.table, event)} IS '{digest}'")
            copying = create_copying(one, event, stored)
            for statement in copying:
                cursor.execute(statement)
            if not copying and (one.table, copying_name(event)) in installed:
                cursor.execute(f"DROP TRIGGER {copying_name(event)} ON {one.table}")
            if has_mark and not is_to_mark:
                cursor.execute(f"DROP TRIGGER {MARKING} ON {one.table}")
            if known is None or has_mark or is_to_mark:
                for statement in create_triggers(one, event, stored):
                    cursor.execute(statement)
        if one.replaces and (one.table, trigger_name("DELETE")) not in installed:
            for name in one.replaces:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {one.table}")


def digest_of(one: Recorded, event: str, stored: Mapping[str, Collection[str]]) -> str:
    """Return what tells an event's function from an older one; it is kept as the function's comment.

    Triggers are part of it only where they name columns: to renew one waits for all who write to the table.
    """
    statements = [create_function(one, event, stored), *create_copying(one, event, stored)]
    if is_marked(one, event):
        statements += create_triggers(one, event, stored)
    return sha256("\n".join(statements).encode()).hexdigest()


def remove_triggers(declared: Iterable[Recorded]) -> None:
    """Take all triggers and their functions away."""
    with connection.cursor() as cursor:
        for one in declared:
            for event in (*TRANSITIONS, "copy"):
                cursor.execute(f"DROP FUNCTION IF EXISTS {function_name(one.table, event)} CASCADE")
