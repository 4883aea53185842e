"""Whether rows are still as a change left them: text of SQL over `change`, a row of the journal.

A row counts as untouched when its contents are: what was changed since and taken back again is no obstacle,
and neither is a version that grew. What the row was right after the change follows from the earliest `before`
of later changes; without later changes it is the stored row.
"""

import orjson
from django.db import models
from django.db.models.fields import NOT_PROVIDED

from core.journal.declarations import RecordedAssignments, RecordedDocument, recorded
from core.journal.triggers import plain_value, quoted
from core.model_fields import references_to, related_model
from core.sql.composition import identifier
from core.tenancy.foreign_keys import SameTenantReference

UNCOMPARED = "ARRAY['version', 'modified_at']"
AGAIN = "it was made anew since"
GONE = "it was deleted since"
CHANGED = "it was changed since"
OUTCOME = "it says what the service did, which follows from other changes"
NOT_KEPT = "the history does not keep its secrets"
ERASED = "its data have been erased"


# What came later has a higher id. The instant leaves out the months before, even when the clock was set back.
NOT_BEFORE = ".at > change.at - interval '1 day'"
OF_OWNER = f"""held.tenant_id = change.tenant_id AND held.object = change.object AND held.key = change.key
            AND held.id > change.id AND held.keys && change.keys AND held{NOT_BEFORE}"""
AROUND_MEMBERS = f"""held.keys IS NOT NULL AND held{NOT_BEFORE} AND journal_blocks(held.keys) && ARRAY(
                SELECT DISTINCT unnest(journal_blocks_around(member.key)) FROM member)"""


def document_refusal(one: RecordedDocument) -> str:
    """An expression: why the change of a document is not taken back; NULL when nothing is in the way."""
    table, pk = identifier(one.table).sql, quoted(one.primary_key)
    names = ", ".join(f"'{column}'" for column in one.outcomes)
    outcomes = f"ARRAY[{names}]::text[]"
    cases = [
        f"WHEN change.kind = 'deleted' AND present.{pk} IS NOT NULL THEN '{AGAIN}'",
        f"WHEN change.kind <> 'deleted' AND present.{pk} IS NULL THEN '{GONE}'",
        f"WHEN change.kind <> 'created' AND change.hidden IS NOT NULL THEN '{NOT_KEPT}'",
        f"WHEN change.kind <> 'created' AND change.before = '{{}}' THEN '{ERASED}'",
        *(
            [f"WHEN change.kind = 'updated' AND change.before - {outcomes} = '{{}}' THEN '{OUTCOME}'"]
            if one.outcomes
            else []
        ),
        "WHEN change.kind <> 'deleted' AND (later.kind = 'created' OR later.is_secret OR"
        f" to_jsonb(jsonb_populate_record(present, later.before)) <> to_jsonb(present)) THEN '{CHANGED}'",
        *(
            f"WHEN change.kind <> 'created' AND {is_missing(parent, former_reference(column))}"
            f" THEN 'the {noun_of(parent)} was deleted since'"
            for column, parent in required_references(one)
        ),
        *(
            f"WHEN change.kind = 'created' AND EXISTS (SELECT FROM {identifier(user).sql} AS used"
            f" WHERE used.tenant_id = change.tenant_id AND used.{quoted(column)} = change.key)"
            f" THEN '{noun} refer to it'"
            for user, column, noun in users_of(one)
        ),
        *(
            f"WHEN change.kind <> 'deleted' AND {condition} THEN '{reason}'"
            for reason, condition in one.refusals.items()
        ),
    ]
    return f"""(SELECT CASE {" ".join(cases)} END
    FROM (SELECT) AS one LEFT JOIN {table} AS present
        ON present.{pk} = change.key AND present.tenant_id = change.tenant_id
    CROSS JOIN LATERAL (
        SELECT (array_agg(later.kind ORDER BY later.id))[1] AS kind,
            bool_or(later.hidden IS NOT NULL) AS is_secret,
            coalesce(jsonb_object_agg(part.key, part.value ORDER BY later.id DESC)
                FILTER (WHERE part.key <> ALL ({UNCOMPARED} || {outcomes})), '{{}}') AS before
        FROM journal_change AS later LEFT JOIN LATERAL jsonb_each(later.before) AS part ON TRUE
        WHERE later.tenant_id = change.tenant_id AND later.object = change.object AND later.key = change.key
            AND later.id > change.id AND later{NOT_BEFORE}
    ) AS later)"""


def member_verdicts(one: RecordedAssignments, object_name: str, members: str, *, are_few: bool) -> str:
    """A SELECT of (key, present_id, refusal) for members of the change, given as a SELECT of their keys.

    Later changes are looked up by the members where these are few, otherwise by the owner.
    """
    found_by = AROUND_MEMBERS if are_few else OF_OWNER
    table, column = identifier(one.table).sql, quoted(one.members[object_name])
    entity = f"present.{quoted(one.legal_entity)}" if one.legal_entity else "NULL::bigint"
    compared = "- ARRAY['id', 'version', 'modified_at']"
    formerly = f"jsonb_populate_record(present, {plain_json(one)} || (later.row - 'keys'))"
    owner = parent_of(one, one.owner)
    target = parent_of(one, one.members[object_name])
    cases = [
        f"WHEN change.kind = 'deleted' AND present.id IS NOT NULL THEN '{AGAIN}'",
        f"WHEN change.kind <> 'deleted' AND present.id IS NULL THEN '{GONE}'",
        f"WHEN change.kind <> 'deleted' AND later.key IS NOT NULL AND (later.kind = 'created'"
        f" OR to_jsonb({formerly}) {compared} <> to_jsonb(present) {compared}) THEN '{CHANGED}'",
        f"WHEN change.kind = 'deleted' AND {is_missing(owner, 'change.key')}"
        f" THEN 'the {noun_of(owner)} was deleted since'",
        f"WHEN change.kind = 'deleted' AND {is_missing(target, 'member.key')}"
        f" THEN 'the {noun_of(target)} was deleted since'",
    ]
    if one.legal_entity:
        company = parent_of(one, one.legal_entity)
        cases.append(
            f"WHEN change.kind = 'deleted' AND {is_missing(company, 'change.legal_entity_id')}"
            f" THEN 'the {noun_of(company)} was deleted since'"
        )
    cases += [
        f"WHEN change.kind = 'deleted' AND {condition} THEN '{reason}'"
        for reason, condition in one.refusals.items()
    ]
    return f"""WITH member AS MATERIALIZED ({members}), later AS MATERIALIZED (
        SELECT DISTINCT ON (touched.key) touched.key, found.kind, entry.row
        FROM (SELECT held.* FROM journal_change AS held WHERE {found_by}
            OFFSET 0) AS found
        CROSS JOIN LATERAL (
            SELECT found.keys AS keys, NULL::jsonb AS row WHERE found.before IS NULL
            UNION ALL SELECT (part.value ->> 'keys')::int8multirange, part.value
            FROM jsonb_array_elements(found.before) AS part) AS entry
        CROSS JOIN LATERAL (SELECT generate_series(lower(span), upper(span) - 1) AS key
            FROM unnest(entry.keys * change.keys) AS span) AS touched
        WHERE change.kind <> 'deleted' AND found.tenant_id = change.tenant_id
            AND found.object = change.object AND found.key = change.key AND found.id > change.id
            AND found.legal_entity_id IS NOT DISTINCT FROM change.legal_entity_id
        ORDER BY touched.key, found.id
    ) SELECT member.key, present.id AS present_id, CASE {" ".join(cases)} END AS refusal
    FROM member LEFT JOIN later ON later.key = member.key
    LEFT JOIN {table} AS present ON present.tenant_id = change.tenant_id
        AND present.{quoted(one.owner)} = change.key AND present.{column} = member.key
        AND {entity} IS NOT DISTINCT FROM change.legal_entity_id"""


def members_of_change(most: int | None = None) -> str:
    limit = f" LIMIT {most}" if most else ""
    return (
        f"SELECT generate_series(lower(span), upper(span) - 1) AS key FROM unnest(change.keys) AS span{limit}"
    )


def plain_json(one: RecordedAssignments) -> str:
    """The attributes that the journal leaves out of a plain row, as a literal."""
    values = {
        name: value for name in one.attributes if (value := plain_value(one.model, name)) is not NOT_PROVIDED
    }
    return literal_of(values)


def plain_document(one: RecordedDocument) -> str:
    """The values of columns that `before` may lack: derived and secret ones, and those that came later."""
    values = {
        field.column: value
        for field in one.model._meta.concrete_fields
        if field.column not in (one.primary_key, "tenant_id")
        and (value := plain_value(one.model, field.column)) is not None
    }
    texts = {
        field.column: ""
        for field in one.model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField) and field.column not in one.columns
    }
    return literal_of(texts | {name: value for name, value in values.items() if value is not NOT_PROVIDED})


def literal_of(values: dict[str, object]) -> str:
    text = orjson.dumps(values, default=str).decode().replace("'", "''").replace("%", "%%")
    return f"'{text}'::jsonb"


def parent_of(one: RecordedAssignments, column: str) -> type[models.Model]:
    return next(model for name, model, _ in references_of(one.model) if name == column)


def references_of(model: type[models.Model]) -> list[tuple[str, type[models.Model], str]]:
    """Return the columns that refer to rows of the tenant, to which model, and what its deletion does."""
    found = []
    for constraint in model._meta.constraints:
        if isinstance(constraint, SameTenantReference):
            field = model._meta.get_field(constraint.field)
            assert isinstance(field, models.ForeignKey)
            assert isinstance(field.related_model, type)
            found.append((field.column, field.related_model, constraint.on_delete))
    return found


def required_references(one: RecordedDocument) -> list[tuple[str, type[models.Model]]]:
    return [(name, model) for name, model, action in references_of(one.model) if action != "SET NULL"]


def optional_references(one: RecordedDocument) -> list[tuple[str, type[models.Model]]]:
    return [(name, model) for name, model, action in references_of(one.model) if action == "SET NULL"]


def users_of(one: RecordedDocument) -> list[tuple[str, str, str]]:
    """Return (table, column, noun) of what may refer to a document, but for its own parts."""
    parts = {
        each.table for each in recorded() if isinstance(each, RecordedDocument) and each.part_of == one.object
    }
    found = set()
    for relation in references_to(one.model._meta):
        user = related_model(relation)
        for column, model, _ in references_of(user):
            if model is one.model and user._meta.db_table not in parts:
                found.add((user._meta.db_table, column, str(user._meta.verbose_name_plural)))
    return sorted(found)


def is_missing(model: type[models.Model], key: str) -> str:
    """The condition that there is a key, and the tenant has no row of it."""
    table = identifier(model._meta.db_table).sql
    return (
        f"({key} IS NOT NULL AND NOT EXISTS (SELECT FROM {table} AS named"
        f" WHERE named.id = {key} AND named.tenant_id = change.tenant_id))"
    )


def former_reference(column: str) -> str:
    return f"(change.before ->> '{column}')::bigint"


def noun_of(model: type[models.Model]) -> str:
    return str(model._meta.verbose_name)
