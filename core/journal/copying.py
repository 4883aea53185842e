"""What was made, while the change that says so has no copy of it (`RecordedDocument.is_copied_later`).

To copy what was made took more than a third of what the journal cost a redemption. So its change has no
`after` at first, and in every snapshot that means: the row is there, as it was made. Whatever changes or
deletes the row copies it before, in the same statement (core/journal/triggers.py); otherwise it is copied
when the change settles. Who reads `after` of changes that may be recent takes it from here.
"""

from collections.abc import Mapping

from core.journal.declarations import RecordedDocument, recorded
from core.sql.composition import identifier, identifiers


def after_of(declared: RecordedDocument) -> str:
    """An expression of SQL, of type `jsonb`: `after` of a row `change` that is about such a document."""
    if not declared.is_copied_later:
        return "change.after"
    columns, table = identifiers(declared.columns).sql, identifier(declared.table).sql
    return f"""CASE WHEN change.kind = 'created' AND change.after IS NULL THEN (
        SELECT to_jsonb(row_made) FROM (SELECT {columns} FROM {table} AS it
            WHERE it.{identifier(declared.primary_key).sql} = change.key) AS row_made
    ) ELSE change.after END"""


def after_of_any() -> str:
    """The same of a row `change` of anything that is recorded."""
    whens = [
        f"WHEN '{one.object}' THEN {after_of(one)}"
        for one in recorded()
        if isinstance(one, RecordedDocument) and one.is_copied_later
    ]
    return f"CASE change.object {' '.join(whens)} ELSE change.after END" if whens else "change.after"


def row_made(table: str, columns: Mapping[str, str]) -> str:
    """A table expression of SQL: columns, with their types, of the row that a row `change` has made."""
    stored = ", ".join(f"it.{name}" for name in columns)
    copied = ", ".join(f"(change.after ->> '{name}')::{kind}" for name, kind in columns.items())
    return f"""(
            SELECT {stored} FROM {table} AS it WHERE it.id = change.key AND change.after IS NULL
            UNION ALL SELECT {copied} WHERE change.after IS NOT NULL
        )"""
