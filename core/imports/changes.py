"""Keeps what an import did to rows, so that it can be undone."""

from django.db import connection

from core.imports.merge_statements import WRITTEN
from core.imports.models import ImportRun


def note_changes(run: ImportRun, created: str) -> None:
    """Keep the keys of created rows, and changed and removed rows (see `import_written`) as they were."""
    with connection.cursor() as cursor:
        if created:
            cursor.execute(
                "INSERT INTO imports_importcreation (run_id, keys) VALUES (%s, %s::int8multirange)",
                [run.pk, created],
            )
        cursor.execute(
            "INSERT INTO imports_importchange (run_id, row_id, version, before)"
            " SELECT %s, id, CASE WHEN action = 'removed' THEN NULL ELSE version END, before"
            f" FROM {WRITTEN} ORDER BY id",
            [run.pk],
        )
