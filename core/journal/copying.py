"""What was made, while the change that says so has no copy of it (`RecordedDocument.is_copied_later`).

To copy what was made takes a third of what the journal costs a redemption. So its change has no `after` at
first: the row still is as it was made. Whatever changes or deletes the row copies it before, in the same
statement (core/journal/triggers.py); otherwise it is copied when the change settles.
"""

from core.journal.declarations import RecordedDocument, recorded
from core.sql.composition import Sql, identifier, identifiers, param, sql


def made(declared: RecordedDocument) -> Sql:
    """An expression of type `jsonb`: `after` of the row `change`, which is a change of such documents."""
    if not declared.is_copied_later:
        return Sql("change.after")
    return sql(
        "CASE WHEN change.kind = 'created' AND change.after IS NULL THEN (SELECT to_jsonb(copied) FROM"
        " (SELECT {columns} FROM {table} AS it WHERE {key} = change.key) AS copied) ELSE change.after END",
        columns=identifiers(declared.columns),
        table=identifier(declared.table),
        key=identifier("it", declared.primary_key),
    )


def made_by_any() -> Sql:
    """The same of a change of anything that is recorded."""
    expression = Sql("change.after")
    for one in recorded():
        if isinstance(one, RecordedDocument) and one.is_copied_later:
            expression = sql(
                "CASE WHEN change.object = {object} THEN {made} ELSE {otherwise} END",
                object=param(one.object),
                made=made(one),
                otherwise=expression,
            )
    return expression
