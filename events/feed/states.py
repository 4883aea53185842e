"""What a row was right after a change of the journal: parts of the statements that compose payloads.

The journal holds what a change replaced. What it wrote is in the change itself (documents), in what the next
change of the row replaced or, without a next change, in the table.
"""

import orjson

from core.journal.copying import after_of
from core.journal.declarations import RecordedAssignments, RecordedDocument
from core.journal.lookups import holds
from core.journal.past import ENTRIES, plain_row
from core.sql.composition import Sql, identifier, param, sql

VERSION = (
    "present.version = CASE change.kind WHEN 'created' THEN 1"
    " ELSE coalesce((entry.row ->> 'version')::integer, 1) + 1 END AND "
)
LATER = "later.tenant_id = change.tenant_id AND later.object = change.object AND later.key = change.key"


def document_after(declared: RecordedDocument, alias: str) -> Sql:
    """A join: the document as the change left it; a deleted one as it was before."""
    return sql(
        " CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, CASE change.kind"
        " WHEN 'created' THEN {after} WHEN 'deleted' THEN change.before ELSE"
        " coalesce((SELECT to_jsonb(present) FROM {table} AS present"
        " WHERE present.tenant_id = change.tenant_id AND present.id = change.key), '{{}}')"
        # the earliest change comes last, and of members of the same name the last one is kept
        " || coalesce((SELECT jsonb_object_agg(part.key, part.value ORDER BY later.id DESC)"
        " FROM journal_change AS later CROSS JOIN LATERAL jsonb_each(later.before) AS part"
        " WHERE {later} AND later.id > change.id), '{{}}')"
        " || change.after END"
        " || jsonb_build_object('id', change.key, 'tenant_id', change.tenant_id)) AS {alias}",
        table=identifier(declared.table),
        after=Sql(after_of(declared)),
        later=Sql(LATER),
        alias=identifier(alias),
    )


def rewriting() -> Sql:
    """A join, before `members`: whether the change's members may have been changed or taken out since.

    It is looked up once for each change, and not for each of its thousands of members.
    """
    return sql(
        " CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM journal_change AS later WHERE {later}"
        " AND later.id > change.id AND later.kind <> 'created') AS is_possible OFFSET 0) AS rewriting",
        later=Sql(LATER),
    )


def members() -> Sql:
    """A join: each member of a change of assignments (`member.key`), and its row before (`entry.row`)."""
    return sql(
        " CROSS JOIN LATERAL ({entries}) AS entry CROSS JOIN LATERAL unnest(entry.keys) AS span"
        " CROSS JOIN LATERAL generate_series(lower(span), upper(span) - 1) AS member (key)",
        entries=Sql(ENTRIES.replace("later.", "change.")),
    )


def assignment_after(declared: RecordedAssignments, object_name: str, alias: str) -> Sql:
    """A join, behind `rewriting` and `members`: the member's row as the change left it.

    The row in the table is that, if it has the version that the change gave it, and either the change's
    transaction wrote it or no member of the segment was changed or taken out since. For others the next
    change is looked up by member.
    """
    entity = declared.legal_entity
    return sql(
        " LEFT JOIN {table} AS present ON present.tenant_id = change.tenant_id"
        " AND present.{owner} = change.key AND present.{member} = member.key{same_entity}"
        " CROSS JOIN LATERAL (SELECT present.* WHERE {is_same} UNION ALL"
        " SELECT former.* FROM (SELECT ({next_row}) AS row) AS later"
        " CROSS JOIN LATERAL jsonb_populate_record(CASE WHEN later.row IS NULL THEN present END,"
        " CASE WHEN later.row IS NOT NULL OR present.id IS NULL"
        " THEN {plain} || coalesce(later.row, '{{}}') ELSE '{{}}' END) AS former"
        " WHERE ({is_same}) IS NOT TRUE) AS {alias}",
        table=identifier(declared.table),
        owner=identifier(declared.owner),
        member=identifier(declared.members[object_name]),
        same_entity=sql(
            " AND present.{entity} IS NOT DISTINCT FROM change.legal_entity_id", entity=identifier(entity)
        )
        if entity
        else Sql(""),
        is_same=sql(
            "{version}(present.xmin = change.tx::xid OR NOT rewriting.is_possible)",
            version=Sql(VERSION if "version" in declared.attributes else ""),
        ),
        next_row=next_row_of_member(),
        plain=param(orjson.dumps(plain_row(declared)).decode(), "jsonb"),
        alias=identifier(alias),
    )


def next_row_of_member() -> Sql:
    """A SELECT: what the next change of the member replaced."""
    return sql(
        "SELECT replaced.value"
        " FROM (SELECT held.* FROM journal_change AS held WHERE {holds} OFFSET 0) AS later"
        " CROSS JOIN LATERAL jsonb_array_elements(later.before) AS replaced WHERE {later}"
        " AND later.legal_entity_id IS NOT DISTINCT FROM change.legal_entity_id AND later.id > change.id"
        " AND (replaced.value ->> 'keys')::int8multirange @> member.key ORDER BY later.id LIMIT 1",
        holds=holds("held", Sql("member.key")),
        later=Sql(LATER),
    )


def known_id(shown: str, *, noun: str | Sql, key: str) -> Sql:
    """An expression: the wire id in the column `shown`; of what is gone the one that the journal has.

    `noun` is what the journal calls the document, or an expression for that.
    """
    return sql(
        "coalesce({shown}, (SELECT gone.external_id FROM journal_change AS gone"
        " WHERE gone.tenant_id = change.tenant_id AND gone.object = {noun} AND gone.key = {key}"
        " AND gone.kind = 'deleted' ORDER BY gone.id DESC LIMIT 1))",
        shown=identifier(*shown.split(".")),
        noun=noun if isinstance(noun, Sql) else param(noun, "text"),
        key=identifier(*key.split(".")),
    )
