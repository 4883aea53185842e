"""Reads the rows of a tenant as the documents that an import takes."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from django.db import connection, transaction

from core.imports.columns import Column, ColumnType
from core.imports.resources import Export
from core.representation.fields import Languages
from core.tenancy.callers import TenantRecord

ROWS_AT_ONCE = 10_000
CURSOR = "exported_rows"


def exported_documents(export: Export, tenant: TenantRecord) -> Iterator[str]:
    """Yield each document as JSON text, all of one moment; the server keeps what was not fetched yet."""
    shape = export.representation
    document = shape.document(None, Languages(default=tenant.default_language))
    statement = (
        f"DECLARE {CURSOR} NO SCROLL CURSOR FOR SELECT {document.sql} FROM {shape.table} AS {shape.alias}"
        f"{shape.joined(shape.needs_of(None)).sql}"
        f" WHERE {shape.alias}.tenant_id = %s AND {export.condition} ORDER BY {export.order}"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [*document.params, tenant.id])
        while True:
            cursor.execute(f"FETCH {ROWS_AT_ONCE} FROM {CURSOR}")
            rows = cursor.fetchall()
            yield from (text for (text,) in rows)
            if len(rows) < ROWS_AT_ONCE:
                break
        cursor.execute(f"CLOSE {CURSOR}")


def stored_bodies(
    export: Export, tenant: TenantRecord, ids: Sequence[str], *, id_column: str = "external_id"
) -> dict[str, dict[str, Any]]:
    """Return the documents of those rows that exist, by their ids."""
    shape = export.representation
    document = shape.document(None, Languages(default=tenant.default_language))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {shape.alias}.{id_column}, {document.sql} FROM {shape.table} AS {shape.alias}"
            f"{shape.joined(shape.needs_of(None)).sql} WHERE {shape.alias}.tenant_id = %s"
            f" AND {shape.alias}.{id_column} = ANY(%s::text[]) AND {export.condition}",
            [*document.params, tenant.id, list(ids)],
        )
        return {name: orjson.loads(text) for name, text in cursor.fetchall()}


def used_languages(export: Export, tenant: TenantRecord, columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Return the tenant's languages, then others that stored texts have; so a header leaves out none."""
    localized = [column.name for column in columns if column.type is ColumnType.LOCALIZED]
    if not localized:
        return ()
    shape = export.representation
    found: set[str] = set()
    with connection.cursor() as cursor:
        for name in localized:
            field = shape.fields[name]
            cursor.execute(
                f"SELECT DISTINCT jsonb_object_keys({field.expression.sql})"  # type: ignore[attr-defined]
                f" FROM {shape.table} AS {shape.alias} WHERE {shape.alias}.tenant_id = %s",
                [tenant.id],
            )
            found.update(language for (language,) in cursor.fetchall())
    return (*tenant.languages, *sorted(found.difference(tenant.languages)))
