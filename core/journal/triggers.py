"""The triggers of a recorded table: one for each event, on statements, whose function is made for the table.

A function names the columns of its table, so PostgreSQL plans it once in a session. It finds the rows of the
statement in the transition tables `before` and `changed`. Many rows of these are joined by FULL JOIN, which
is never a nested loop: the cached plan of a statement of one row has to do for a hundred thousand as well.
What a request writes is added to the recent changes, whose indexes cost next to nothing.
"""

import re
from collections.abc import Collection, Iterable, Mapping

from django.db import models
from django.db.models.fields import NOT_PROVIDED

from core.journal.declarations import (
    ALTERNATIVES,
    Recorded,
    RecordedAssignments,
    RecordedDocument,
    all_columns,
)
from core.journal.partitions import JOURNAL, RECENT
from core.sql.composition import identifier

# One without others in it: those are chosen first.
ALTERNATIVE = re.compile(
    re.escape(ALTERNATIVES)
    .replace(r"\{table\}", r"(?P<table>\w+)")
    .replace(r"\{statements\}", r"(?P<statements>((?!/\* stored ).)*?)")
    .replace(r"\{otherwise\}", r"(?P<otherwise>((?!/\* stored ).)*?)"),
    re.DOTALL,
)
ROWS_OF_CHANGE = 20_000  # at most, where `keys` say which ones
FEW_ROWS = 1_000  # of a statement, as a request writes; more are an import's, whose changes are few and long
TRANSITIONS = {
    "INSERT": "NEW TABLE AS changed",
    "UPDATE": "OLD TABLE AS before NEW TABLE AS changed",
    "DELETE": "OLD TABLE AS before",
}
COLUMNS = (
    "at, tenant_id, kind, object, key, owner_key, external_id, legal_entity_id, keys, count, before, after,"
    " hidden, actor_type, actor_id, actor_name, source_type, source_id, is_cascade"
)
ACTOR = "actor->>0, actor->>1, actor->>2, actor->>3, actor->>4"
KEYS = "range_agg(int8range(it.member, it.member, '[]'))"
COUNTED = """    SELECT count(*){tenants} FROM {table} INTO rows_written{variables};
    IF rows_written = 0 THEN
        RETURN NULL;
    END IF;
"""
# Most statements change one document: this is tried first, for which nothing is counted, joined or sorted. A
# single row that is not recorded so has not changed, or has another key.
BY_ROWS = """{single}    IF NOT FOUND THEN
{counted}        IF rows_written > 1 OR NOT EXISTS (SELECT FROM before JOIN changed USING ({pk})) THEN
{several}        END IF;
    END IF;
"""
SINGLE = "NOT EXISTS (SELECT FROM before OFFSET 1) AND was.{pk} IS NOT DISTINCT FROM it.{pk}"
# A trigger with transition tables cannot name columns. So another one does, whose condition marks the
# transaction and never holds: PostgreSQL asks the conditions of an event in the order of the triggers' names,
# once the rows are written and before any function runs. The mark stays until the transaction ends, or is
# rolled back with what set it: taken away sooner, it could be missed by a statement that others ran within.
MARK = """CREATE OR REPLACE TRIGGER {name} AFTER UPDATE OF {columns} ON {table} FOR EACH STATEMENT
WHEN (set_config('{mark}', 'on', true) IS NULL) EXECUTE FUNCTION {function}()"""
MARKED = "current_setting('{mark}', true) = 'on'"
MARKING = "journal_columns"  # before journal_update
UPDATED = "'updated'"
FUNCTION = """CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor jsonb := coalesce(
        nullif(current_setting('app.actor', true), '')::jsonb,
        jsonb_build_array('sql', session_user, '', '', ''));
    instant timestamptz := clock_timestamp();
    is_moved boolean;
    rows_written bigint;
    least_tenant bigint;
    greatest_tenant bigint;
BEGIN
{body}    RETURN NULL;
END
$$"""
# Planned anew each time: recent changes are none in one minute and a hundred thousand in the next.
COPY = """CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM before) THEN
        EXECUTE $statement$
            UPDATE {recent} AS change SET after = to_jsonb(shown)
            FROM before AS it {row}
            WHERE change.tenant_id = {tenant} AND change.object = '{object}' AND change.key = it.{key}
                AND change.kind = 'created' AND change.after IS NULL
        $statement$;
    END IF;
    RETURN NULL;
END
$$"""


def function_name(table: str, event: str) -> str:
    return f"journal_{identifier(table).sql}_{event.lower()}"


def trigger_name(event: str) -> str:
    return f"journal_{event.lower()}"


def copying_name(event: str) -> str:
    return f"journal_copy_{event.lower()}"


def create_function(recorded: Recorded, event: str, stored: Mapping[str, Collection[str]]) -> str:
    """Return the function of a table's trigger; `stored` are the columns of all present tables."""
    known = known_columns(recorded, stored)
    recent = RECENT if RECENT in stored else JOURNAL
    if isinstance(recorded, RecordedDocument):
        body = document_body(recorded, event, known, recent=recent)
    else:
        assert isinstance(recorded, RecordedAssignments)
        body = assignments_body(recorded, event, known, recent=recent)
    return FUNCTION.format(
        name=function_name(recorded.table, event),
        body=body + possible(recorded.follow.get(event, ""), stored),
    )


def possible(statements: str, tables: Collection[str]) -> str:
    """Return the statements, each of the alternatives chosen (core.journal.declarations.if_stored).

    Alternatives within others are chosen first.
    """
    found = 1
    while found:
        statements, found = ALTERNATIVE.subn(
            lambda one: one["statements" if one["table"] in tables else "otherwise"], statements
        )
    return statements


def create_triggers(recorded: Recorded, event: str, stored: Mapping[str, Collection[str]]) -> list[str]:
    """Return the statements that make an event's triggers, or renew them."""
    table, function, condition = identifier(recorded.table).sql, function_name(recorded.table, event), ""
    statements = []
    if is_marked(recorded, event):
        columns = ", ".join(map(quoted, marking_columns(recorded, known_columns(recorded, stored))))
        statements.append(
            MARK.format(name=MARKING, columns=columns, table=table, mark=mark_of(recorded), function=function)
        )
        if isinstance(recorded, RecordedDocument):
            condition = f" WHEN ({is_marked_now(recorded)})"
    return [
        *statements,
        f"CREATE OR REPLACE TRIGGER {trigger_name(event)} AFTER {event} ON {table}"
        f" REFERENCING {TRANSITIONS[event]} FOR EACH STATEMENT{condition} EXECUTE FUNCTION {function}()",
    ]


def is_marked(recorded: Recorded, event: str) -> bool:
    """Say whether it counts for an event's triggers which columns a statement sets.

    Statements that set derived columns of a document, and are declared not to matter, call nothing. Those
    that set no column by which assignments are told apart have moved none.
    """
    return event == "UPDATE" and (not isinstance(recorded, RecordedDocument) or recorded.ignores_derived)


def marking_columns(recorded: Recorded, known: list[str]) -> list[str]:
    if isinstance(recorded, RecordedAssignments):
        return [name for name in known if name in (recorded.primary_key, *recorded.identity)]
    return [name for name in known if name not in recorded.derived]


def mark_of(recorded: Recorded) -> str:
    return f"app.journal_{identifier(recorded.table).sql}"


def is_marked_now(recorded: Recorded) -> str:
    """Return the condition that a statement of the transaction has set one of the marking columns."""
    return MARKED.format(mark=mark_of(recorded))


def known_columns(recorded: Recorded, stored: Mapping[str, Collection[str]]) -> list[str]:
    """Return the columns that the model has, and its table as well: migrations add them one by one."""
    return [column for column in all_columns(recorded.model) if column in stored[recorded.table]]


# Documents


def document_body(recorded: RecordedDocument, event: str, known: list[str], *, recent: str) -> str:
    """Return the statements of an event; `recent` is the table of recent changes, or takes its place."""
    shown = shown_columns(recorded, known)
    secret = [column for column in known if column in recorded.secret]
    if event == "UPDATE":
        return updated_documents(recorded, shown, secret, recent=recent)
    is_new, pk = event == "INSERT", quoted(recorded.primary_key)
    hidden = names_where({name: f"it.{quoted(name)}::text <> ''" for name in secret})
    row, source = "to_jsonb(shown)", f"AS it {with_columns(shown)}"
    if is_new and recorded.is_copied_later and recent == RECENT:
        row, source = "NULL::jsonb", "AS it"
    gone = any_of(is_gone(table, f"it.{name}") for name, table in parents(recorded, "CASCADE"))
    table = recent if is_new and recorded.is_appended else JOURNAL
    return f"""    INSERT INTO {table} ({COLUMNS})
    SELECT instant, {place(recorded, "created" if is_new else "deleted", f"it.{pk}")}, NULL, NULL, 1,
        {"NULL" if is_new else row}, {row if is_new else "NULL"}, {hidden}, {ACTOR},
        {"false" if is_new else gone}
    FROM {"changed" if is_new else "before"} {source}
    {"" if is_new else f"ORDER BY it.{pk}"};
    GET DIAGNOSTICS rows_written = ROW_COUNT;
    IF rows_written = 0 THEN
        RETURN NULL;
    END IF;
"""


def shown_columns(recorded: Recorded, known: list[str]) -> list[str]:
    """Return those of the known columns whose values the journal records."""
    return [column for column in known if column in recorded.columns]


def with_columns(names: Iterable[str]) -> str:
    """Return the join of `it` with the row `shown`, which has only these columns."""
    return f"CROSS JOIN LATERAL (SELECT {columns_of('it', names)}) AS shown"


def updated_documents(recorded: RecordedDocument, shown: list[str], secret: list[str], *, recent: str) -> str:
    pk = quoted(recorded.primary_key)
    hidden = names_where({name: differ("was", "it", [name]) for name in secret})
    cleared = [
        f"it.{name} IS NULL AND {is_gone(table, f'was.{name}')}"
        for name, table in parents(recorded, "SET NULL")
    ]

    def recording(table: str, key: str, rows: str, order: str = "") -> str:
        return f"""    INSERT INTO {table} ({COLUMNS})
    SELECT instant, {place(recorded, "updated", key)}, NULL, NULL, 1,
        {differing("was", shown)}, {differing("it", shown)},
        {hidden}, {ACTOR}, {any_of(cleared)}
    FROM before AS was {rows}
    WHERE {differ("was", "it", [*shown, *secret])}{order};
"""

    key, joined = f"coalesce(it.{pk}, was.{pk})", f"FULL JOIN changed AS it USING ({pk})"
    counted = count_rows("changed", recorded)
    if recorded.is_appended:
        return counted + recording(recent, key, joined)
    return BY_ROWS.format(
        single=recording(recent, f"it.{pk}", f"JOIN changed AS it ON {SINGLE.format(pk=pk)}"),
        counted=counted,
        pk=pk,
        # so the indexes of a month are written in their order
        several=recording(JOURNAL, key, joined, order=f"\n    ORDER BY {key}"),
    )


def count_rows(table: str, recorded: Recorded) -> str:
    """Return the statement that counts a statement's rows, and finds the tenants that they belong to."""
    if "tenant_id" not in all_columns(recorded.model):
        return COUNTED.format(table=table, tenants="", variables="")
    return COUNTED.format(
        table=table, tenants=", min(tenant_id), max(tenant_id)", variables=", least_tenant, greatest_tenant"
    )


def place(recorded: RecordedDocument, kind: str, key: str) -> str:
    """Return the columns from the tenant to the wire id."""
    return (
        f"{recorded.tenant}, '{kind}', '{recorded.object}', {key}, {recorded.owner}, {recorded.external_id}"
    )


def names_where(conditions: Mapping[str, str]) -> str:
    """Return the array of the names whose condition holds; NULL for none."""
    if not conditions:
        return "NULL::text[]"
    names = ", ".join(f"CASE WHEN {condition} THEN '{name}' END" for name, condition in conditions.items())
    return f"nullif(array_remove(ARRAY[{names}], NULL), '{{}}')"


def columns_of(alias: str, columns: Iterable[str]) -> str:
    """Return the list of the columns."""
    return ", ".join(f"{alias}.{quoted(column)}" for column in columns)


def differing(alias: str, columns: Iterable[str]) -> str:
    """Return those columns of `was` or `it` in which they differ, as one jsonb object; NULL for none.

    Nothing is made jsonb that does not differ: that took longer than all else that a trigger does.
    """
    parts = (
        f"CASE WHEN {differ('was', 'it', [name])} THEN jsonb_build_object('{name}', {alias}.{quoted(name)})"
        " ELSE '{}' END"
        for name in columns
    )
    return f"nullif({' || '.join(parts)}, '{{}}')"


def differ(one: str, other: str, columns: Iterable[str]) -> str:
    """Return the condition that two rows differ in one of the columns."""
    columns = list(columns)
    return f"({columns_of(one, columns)}) IS DISTINCT FROM ({columns_of(other, columns)})"


# What is copied later (core/journal/copying.py)


def create_copying(recorded: Recorded, event: str, stored: Mapping[str, Collection[str]]) -> list[str]:
    """Return the statements that make the trigger, and its function, that copies rows before this event.

    Its name is its own: a former release that comes back renews the functions it knows, and leaves this one.
    """
    if event == "INSERT" or RECENT not in stored:
        return []
    if not (isinstance(recorded, RecordedDocument) and recorded.is_copied_later):
        return []
    function = function_name(recorded.table, "copy")
    shown = shown_columns(recorded, known_columns(recorded, stored))
    return [
        COPY.format(
            name=function,
            recent=RECENT,
            row=with_columns(shown),
            tenant=recorded.tenant,
            object=recorded.object,
            key=quoted(recorded.primary_key),
        ),
        f"CREATE OR REPLACE TRIGGER {copying_name(event)} AFTER {event} ON {identifier(recorded.table).sql}"
        f" REFERENCING {TRANSITIONS[event]} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
    ]


# Assignments


def assignments_body(recorded: RecordedAssignments, event: str, known: list[str], *, recent: str) -> str:
    """Return the statements of an event, as `document_body` does."""
    attributes = [column for column in recorded.attributes if column in known]
    counted = count_rows("changed" if event == "INSERT" else "before", recorded)
    if event == "INSERT":
        return counted + by_number(recorded, created_assignments(recorded, "changed AS it"), recent)
    if event == "DELETE":
        return counted + by_number(
            recorded, former_assignments(recorded, "'deleted'", "before AS it", attributes), recent
        )
    joined = "FROM before AS was FULL JOIN changed AS it USING (id)"
    moved = differ("was", "it", recorded.identity)
    moved_source = f"""(
        SELECT was.*, {moved} AS is_moved {joined}
        WHERE {differ("was", "it", [*recorded.identity, *attributes])}
    ) AS it"""
    kind = "CASE WHEN it.is_moved THEN 'deleted' ELSE 'updated' END"
    written = by_number(
        recorded,
        "    WITH written AS (\n"
        + former_assignments(recorded, kind, moved_source, attributes).rstrip("; \n")
        + " RETURNING kind\n    ) SELECT bool_or(kind = 'deleted') INTO is_moved FROM written;\n",
        recent,
    )
    moved_rows = f"(SELECT it.* FROM changed AS it JOIN before AS was USING (id) WHERE {moved}) AS it"
    kept_source = f"(\n        SELECT was.* {joined} WHERE {differ('was', 'it', attributes)}\n    ) AS it"
    kept = by_number(recorded, former_assignments(recorded, UPDATED, kept_source, attributes), recent)
    moved_anew = by_number(recorded, created_assignments(recorded, moved_rows), recent)
    return f"""{counted}    IF {is_marked_now(recorded)} THEN
{written}    IF is_moved THEN
{moved_anew}    END IF;
    ELSE
{kept}    END IF;
"""


def by_number(recorded: RecordedAssignments, statement: str, recent: str) -> str:
    """Return the statement for few rows, for more, and for many, which are divided in the order of keys."""
    return f"""    IF rows_written <= {FEW_ROWS} THEN
{statement.format(part="0", table=recent)}    ELSIF rows_written <= {ROWS_OF_CHANGE} THEN
{statement.format(part="0", table=JOURNAL)}    ELSE
{statement.format(part=part_of(recorded), table=JOURNAL)}    END IF;
"""


def part_of(recorded: RecordedAssignments) -> str:
    return (
        f"(row_number() OVER (PARTITION BY {', '.join(owner_columns(recorded))}, {object_of(recorded)}"
        f" ORDER BY {member_of(recorded)}) - 1) / {ROWS_OF_CHANGE}"
    )


def created_assignments(recorded: RecordedAssignments, source: str) -> str:
    columns = [name.removeprefix("it.") for name in owner_columns(recorded)]
    return f"""    INSERT INTO {{table}} ({COLUMNS})
    SELECT instant, it.tenant_id, 'created', it.object, it.{recorded.owner}, NULL, {wire_id(recorded)},
        {legal_entity(recorded)}, {KEYS}, count(*), NULL, NULL, NULL, {ACTOR}, false
    FROM (
        SELECT {", ".join(owner_columns(recorded))}, {object_of(recorded)} AS object,
            {member_of(recorded)} AS member, {{part}} AS part
        FROM {source}
    ) AS it GROUP BY it.object, it.part, {", ".join(f"it.{name}" for name in columns)};
"""


def former_assignments(recorded: RecordedAssignments, kind: str, source: str, attributes: list[str]) -> str:
    """Return the statement that records rows as they were: those of the same attributes as one entry."""
    columns = [name.removeprefix("it.") for name in owner_columns(recorded)]
    group = ", ".join(f"it.{name}" for name in ["kind", "object", "part", *columns])
    entry = " || ".join(attribute_of(recorded.model, name) for name in attributes)
    return f"""    INSERT INTO {{table}} ({COLUMNS})
    SELECT instant, it.tenant_id, it.kind, it.object, it.{recorded.owner}, NULL, {wire_id(recorded)},
        {legal_entity(recorded)}, range_agg(it.keys), sum(it.count), jsonb_agg(it.entry ORDER BY it.keys),
        NULL, NULL, {ACTOR}, {"false" if kind == UPDATED else is_cascade_of(recorded)}
    FROM (
        SELECT {group}, {KEYS} AS keys, count(*) AS count,
            jsonb_build_object('keys', {KEYS}::text) || {entry} AS entry
        FROM (
            SELECT it.*, {kind} AS kind, {object_of(recorded)} AS object, {member_of(recorded)} AS member,
                {{part}} AS part
            FROM {source}
        ) AS it GROUP BY {group}, {", ".join(f"it.{quoted(name)}" for name in attributes)}
    ) AS it GROUP BY {group};
"""


def attribute_of(model: type[models.Model], column: str) -> str:
    """Return the attribute as an object of jsonb, which is empty for the value of a plain row."""
    name = quoted(column)
    value = f"jsonb_build_object('{column}', it.{name})"
    plain = plain_value(model, column)
    if plain is NOT_PROVIDED:
        return value
    same = f"it.{name} IS NULL" if plain is None else f"it.{name} = {literal(plain)}"
    return f"CASE WHEN {same} THEN '{{{{}}}}'::jsonb ELSE {value} END"


def plain_value(model: type[models.Model], column: str) -> object:
    """Return the value that a plain row has in the column; NOT_PROVIDED where each row has its own."""
    field = next(one for one in model._meta.concrete_fields if one.column == column)
    if field.null:
        return None
    if field.default in (dict, list):
        return field.default()
    return NOT_PROVIDED if callable(field.default) else field.default


def literal(value: object) -> str:
    if value == {}:
        return "jsonb_build_object()"
    if value == []:
        return "jsonb_build_array()"
    return f"'{value}'" if isinstance(value, str) else str(value)


def owner_columns(recorded: RecordedAssignments) -> list[str]:
    names = ["tenant_id", recorded.owner, recorded.legal_entity]
    return [f"it.{quoted(name)}" for name in names if name]


def object_of(recorded: RecordedAssignments) -> str:
    if len(recorded.members) == 1:
        return f"'{recorded.object}'::text"
    whens = " ".join(
        f"WHEN it.{column} IS NOT NULL THEN '{name}'" for name, column in recorded.members.items()
    )
    return f"CASE {whens} END"


def member_of(recorded: RecordedAssignments) -> str:
    return f"coalesce({', '.join(f'it.{column}' for column in recorded.members.values())})"


def wire_id(recorded: RecordedAssignments) -> str:
    return (
        f"(SELECT owner.external_id FROM {identifier(recorded.owner_table).sql} AS owner"
        f" WHERE owner.id = it.{recorded.owner})"
    )


def legal_entity(recorded: RecordedAssignments) -> str:
    return f"it.{recorded.legal_entity}" if recorded.legal_entity else "NULL::bigint"


def is_cascade_of(recorded: RecordedAssignments) -> str:
    """Return the condition that a group of rows went with something that they point to."""
    tables = dict(parents(recorded, "CASCADE"))
    member = "lower(range_agg(it.keys))"
    gone = [is_gone(tables[recorded.owner], f"it.{recorded.owner}")]
    gone += [
        f"it.object = '{name}' AND {is_gone(tables[column], member)}"
        for name, column in recorded.members.items()
    ]
    if recorded.legal_entity:
        gone.append(is_gone(tables[recorded.legal_entity], f"it.{recorded.legal_entity}"))
    return f"it.kind = 'deleted' AND ({any_of(gone)})"


# Cascades: PostgreSQL fires the triggers of what it deletes along as those of the statement itself, but the
# rows point to something that no longer exists.


def parents(recorded: Recorded, action: str) -> list[tuple[str, str]]:
    """Return the columns whose references take this action on deletion, and the tables that they refer to."""
    return [
        (one.column, model._meta.db_table)
        for one in recorded.model._meta.concrete_fields
        if getattr(one, "deletion", "") == action and isinstance(model := one.related_model, type)
    ]


def is_gone(table: str, key: str) -> str:
    """Return the condition that the table has no row of this key any more."""
    name = identifier(table).sql
    return f"{key} IS NOT NULL AND NOT EXISTS (SELECT FROM {name} AS parent WHERE parent.id = {key})"


def any_of(conditions: Iterable[str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions) or "false"


# Names


def quoted(name: str) -> str:
    """Return a column's name as SQL has it."""
    return f'"{identifier(name).sql}"'
