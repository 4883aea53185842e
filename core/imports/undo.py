"""Undoes imports of assignments, as far as nobody else has touched the rows since."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from core.errors import Conflict, InvalidInput
from core.imports.merge_specs import MergeSpec
from core.imports.models import ImportRun, ImportState
from core.imports.resources import Export, ImportResource, TableWriter
from core.imports.runs import hold_run, release_run
from core.representation.fields import Languages
from core.representation.representations import Representation

UNDONE = "import_undone"


class NotUndoable(InvalidInput):
    """Imports of this kind keep no record of how rows were before."""

    code = "not_undoable"


class AlreadyUndone(Conflict):
    """The import has been undone before."""

    code = "already_undone"


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that the import touched and that could not be put back, why, and which row it is.

    `document` is JSON text with the row's ids, empty when the row is gone.
    """

    row_id: int
    reason: str
    document: str


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of an undo: rows that were created and are gone now, put back as they were, made again."""

    deleted: int
    restored: int
    made_again: int
    kept: tuple[Kept, ...]


@transaction.atomic
def undo_import(*, run: ImportRun, kind: ImportResource, at: datetime) -> Undone:
    """Put every row back that the run created, changed or removed, unless somebody else changed it since.

    A row counts as untouched when it has the version that the run gave it. Rows are locked in key order.
    Versions grow, as with every write. Raises NotUndoable, AlreadyUndone and ImportIsRunning.
    """
    if not kind.is_undoable or not isinstance(kind.writer, TableWriter):
        raise NotUndoable(f"Imports of {kind.noun} cannot be undone.")
    hold_run(run)
    run = ImportRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    if run.state == ImportState.UNDONE:
        raise AlreadyUndone(f"Import {run.pk} has been undone before.")
    table = kind.writer.table
    with connection.cursor() as cursor:
        _find_touched(cursor, run, table)
        deleted = _delete_created(cursor, table)
        restored = _restore_changed(cursor, table, at)
        made_again = _make_removed_again(cursor, table)
        kept = _kept_rows(cursor, kind.export)
        cursor.execute(f"DROP TABLE {UNDONE}")
    run.state = ImportState.UNDONE
    run.undone_at = timezone.now()
    run.save(update_fields=["state", "undone_at"])
    transaction.on_commit(lambda: release_run(run))
    return Undone(deleted, restored, made_again, kept)


def _find_touched(cursor: Any, run: ImportRun, table: MergeSpec) -> None:
    """Make `import_undone`: each row that the run touched, the version it got, and how it was before.

    A row that one run touched several times is put back to what it was before the first time.
    """
    cursor.execute(
        f"CREATE TEMPORARY TABLE {UNDONE} ON COMMIT DROP AS"
        " WITH changed AS (SELECT row_id, (array_agg(version ORDER BY id DESC))[1] AS version,"
        " (array_agg(before ORDER BY id))[1] AS before FROM imports_importchange"
        " WHERE run_id = %(run)s GROUP BY row_id),"
        " created AS (SELECT generate_series(lower(part), upper(part) - 1) AS row_id"
        " FROM imports_importcreation, unnest(keys) AS part WHERE run_id = %(run)s)"
        " SELECT row_id, coalesce(changed.version, %(first)s) AS version, NULL::jsonb AS before,"
        " 'created' AS action, NULL::text AS kept FROM created LEFT JOIN changed USING (row_id)"
        " UNION ALL SELECT row_id, version, before,"
        " CASE WHEN version IS NULL THEN 'removed' ELSE 'changed' END, NULL"
        " FROM changed WHERE NOT EXISTS (SELECT FROM created WHERE created.row_id = changed.row_id)",
        {"run": run.pk, "first": table.target.first_version},
    )
    cursor.execute(f"CREATE INDEX ON {UNDONE} (row_id)")
    cursor.execute(f"ANALYZE {UNDONE}")
    ordered = ", ".join(f"stored.{name}" for name in table.target.key)
    cursor.execute(
        f"SELECT count(*) FROM (SELECT FROM {table.target.table} AS stored WHERE stored.id IN"
        f" (SELECT row_id FROM {UNDONE}) ORDER BY {ordered} FOR UPDATE) AS locked"
    )
    version = "AND stored.version <> touched.version" if table.versioned else "AND FALSE"
    cursor.execute(
        f"UPDATE {UNDONE} AS touched SET kept = 'it was changed since'"
        f" FROM {table.target.table} AS stored WHERE stored.id = touched.row_id {version}"
    )
    cursor.execute(
        f"UPDATE {UNDONE} AS touched SET kept = 'it was deleted since' WHERE action <> 'removed'"
        f" AND NOT EXISTS (SELECT FROM {table.target.table} AS stored WHERE stored.id = touched.row_id)"
    )
    cursor.execute(
        f"UPDATE {UNDONE} SET kept = 'nobody knows how it was: another writer made it at the same moment'"
        " WHERE action = 'changed' AND before IS NULL AND kept IS NULL"
    )


def _delete_created(cursor: Any, table: MergeSpec) -> int:
    cursor.execute(
        f"DELETE FROM {table.target.table} AS stored USING {UNDONE} AS touched"
        " WHERE stored.id = touched.row_id AND touched.action = 'created' AND touched.kept IS NULL"
    )
    return cursor.rowcount


def _restore_changed(cursor: Any, table: MergeSpec, at: datetime) -> int:
    if not table.compared:
        return 0
    assignments = [f"{name} = formerly.{name}" for name in table.compared]
    if table.versioned:
        assignments += ["version = stored.version + 1", "modified_at = %(at)s"]
    cursor.execute(
        f"UPDATE {table.target.table} AS stored SET {', '.join(assignments)} FROM {UNDONE} AS touched,"
        f" jsonb_populate_record(NULL::{table.target.table}, touched.before) AS formerly"
        " WHERE stored.id = touched.row_id AND touched.action = 'changed' AND touched.kept IS NULL",
        {"at": at},
    )
    return cursor.rowcount


def _make_removed_again(cursor: Any, table: MergeSpec) -> int:
    for reference in table.references:
        column = next(name for name, value in table.values.items() if value == f"{reference.alias}.id")
        cursor.execute(
            f"UPDATE {UNDONE} SET kept = 'the {reference.noun} was deleted since'"
            f" WHERE action = 'removed' AND kept IS NULL AND before ->> '{column}' IS NOT NULL AND NOT EXISTS"
            f" (SELECT FROM {reference.table} AS named WHERE named.id = (before ->> '{column}')::bigint)"
        )
    columns = ["id", *table.target.columns]
    values = ["formerly.id", *(f"formerly.{name}" for name in table.target.columns)]
    if table.versioned:
        columns.append("version")
        values.append("formerly.version + 1")
    key = ", ".join(table.target.key)
    ordered = ", ".join(f"formerly.{name}" for name in table.target.key)
    cursor.execute(
        f"WITH made AS (INSERT INTO {table.target.table} ({', '.join(columns)})"
        f" SELECT {', '.join(values)} FROM {UNDONE} AS touched,"
        f" jsonb_populate_record(NULL::{table.target.table}, touched.before) AS formerly"
        f" WHERE touched.action = 'removed' AND touched.kept IS NULL ORDER BY {ordered}"
        f" ON CONFLICT ({key}) DO NOTHING RETURNING id)"
        f" UPDATE {UNDONE} AS touched SET action = 'made again' FROM made WHERE made.id = touched.row_id",
    )
    made = cursor.rowcount
    cursor.execute(
        f"UPDATE {UNDONE} SET kept = 'it was made anew since' WHERE action = 'removed' AND kept IS NULL"
    )
    return made


def _kept_rows(cursor: Any, export: Export) -> tuple[Kept, ...]:
    shape = export.representation
    document = shape.document(export.key, Languages())
    cursor.execute(
        f"SELECT touched.row_id, touched.kept,"
        f" CASE WHEN {shape.alias}.id IS NULL THEN '' ELSE {document.sql} END FROM {UNDONE} AS touched"
        f" LEFT JOIN {shape.table} AS {shape.alias} ON {shape.alias}.id = touched.row_id"
        f"{outer_joined(shape, export.key)} WHERE touched.kept IS NOT NULL ORDER BY touched.row_id",
        document.params,
    )
    return tuple(Kept(*row) for row in cursor.fetchall())


def outer_joined(shape: Representation, names: tuple[str, ...]) -> str:
    """Return the joins that the fields need, none of which loses a row."""
    joins = shape.joined(shape.needs_of(names)).sql
    return joins.replace(" LEFT JOIN ", " JOIN ").replace(" JOIN ", " LEFT JOIN ")
