"""What clients read of the journal: changes of segments, their members and items, and of everything else.

The journal has columns; clients read the names that they know. Keys that only this database knows are left
out, but for those of sites and categories above, which are shown by their ids.
"""

import re
from collections.abc import Sequence

import orjson
from django.db import models

from accounts.identity.scopes import (
    CATEGORY_MANAGE,
    CATEGORY_PUBLISH,
    CATEGORY_READ_UNPUBLISHED,
    CATEGORY_UNPUBLISH,
    CONTACT_READ,
    COUPON_MANAGE,
    COUPON_READ,
    CUSTOMER_READ,
    LEGAL_ENTITY_READ,
    PRODUCT_MANAGE,
    PRODUCT_PUBLISH,
    PRODUCT_READ_UNPUBLISHED,
    PRODUCT_UNPUBLISH,
    SEGMENT_MANAGE,
    SEGMENT_READ,
    SITE_READ,
)
from core.journal.copying import after_of_any
from core.journal.declarations import recorded
from core.journal.lookups import holds
from core.journal.undo.rules import undoable_condition
from core.json_types import JsonObject
from core.representation.fields import Boolean, Integer, Json, Nested, Text, Texts, Time
from core.representation.representations import Representation
from core.representation.schema import field_schema
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows

OF_SEGMENT = ("segment", "segment-customer", "segment-product", "segment-category")
READERS = {
    SEGMENT_READ: OF_SEGMENT,
    CATEGORY_READ_UNPUBLISHED: ("category", "category-number", "category-product"),
    PRODUCT_READ_UNPUBLISHED: ("product",),
    COUPON_READ: ("coupon", "coupon-segment", "coupon-category", "coupon-settings", "redemption"),
    CUSTOMER_READ: ("customer",),
    LEGAL_ENTITY_READ: ("legal-entity",),
    CONTACT_READ: ("contact-assignment",),
    SITE_READ: ("site",),
}
"""What is shown of all changes, by the scope that reads it. Clients, keys and staff are for the admin."""
OF_RULES = ("segment-rule", "segment-rule-exclusion")
FOR_RULES = (SEGMENT_MANAGE, CUSTOMER_READ)
"""Both scopes are needed to read changes of rules and to take them back, as for the rules themselves."""
WRITERS = {
    SEGMENT_MANAGE: OF_SEGMENT,
    COUPON_MANAGE: ("coupon", "coupon-campaign"),
    CATEGORY_MANAGE: ("category", "category-product"),
    PRODUCT_MANAGE: ("product",),
}
"""What is taken back of all changes, by the scope that writes it."""
PUBLISHERS = {
    "category": {True: CATEGORY_PUBLISH, False: CATEGORY_UNPUBLISH},
    "product": {True: PRODUCT_PUBLISH, False: PRODUCT_UNPUBLISH},
}
"""The scopes that an undo needs besides, when it publishes something or the opposite."""

OWN_NAMES = {
    "external_id": "id",
    "site_id": "siteCode",
    "parent_id": "parentId",
    "customer_id": "customerId",
    "legal_entity_id": "legalEntityId",
    "mixin_schemas": "metadata.mixins",
    "version": "metadata.version",
    "created_at": "metadata.createdAt",
    "modified_at": "metadata.modifiedAt",
    "valid_from": "validity.from",
    "valid_to": "validity.to",
    "is_published": "published",
    "includes_subcategories": "includeSubcategories",
    "segment_external_id": "segmentId",
    "category_external_id": "categoryId",
    "keys": None,
}
SHOWN_MEMBERS = 10


def wire_names() -> dict[str, str]:
    """Return the name on the wire of each column that is shown."""
    columns = {field.column: field for one in recorded() for field in one.model._meta.concrete_fields}
    names = {
        column: OWN_NAMES.get(column, camel_case(column))
        for column, field in columns.items()
        if column in OWN_NAMES or not isinstance(field, models.ForeignKey)
    }
    return {column: name for column, name in names.items() if name}


def camel_case(column: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), column)


def times() -> list[str]:
    """Return the columns that hold instants."""
    return sorted(
        {
            field.column
            for one in recorded()
            for field in one.model._meta.concrete_fields
            if isinstance(field, models.DateTimeField)
        }
    )


def on_the_wire(row: str) -> str:
    """Return the columns of a jsonb object as clients know them."""
    names = orjson.dumps(wire_names()).decode().replace("'", "''")
    instants = ", ".join(f"'{column}'" for column in times())
    return f"""(SELECT jsonb_object_agg('{names}'::jsonb ->> part.key, CASE
        WHEN part.value = 'null' THEN part.value
        WHEN part.key = 'site_id' THEN to_jsonb((SELECT site.code FROM accounts_site AS site
            WHERE site.id = part.value::bigint))
        WHEN part.key = 'parent_id' THEN to_jsonb((SELECT above.external_id FROM catalog_category AS above
            WHERE above.id = part.value::bigint AND above.parent_id IS NOT NULL))
        WHEN part.key = 'customer_id' AND jsonb_typeof(part.value) = 'number' THEN to_jsonb((
            SELECT one.external_id FROM accounts_customer AS one WHERE one.id = part.value::bigint))
        WHEN part.key = 'legal_entity_id' AND jsonb_typeof(part.value) = 'number' THEN to_jsonb((
            SELECT one.external_id FROM accounts_legalentity AS one WHERE one.id = part.value::bigint))
        WHEN part.key IN ({instants}) THEN to_jsonb(to_char((part.value #>> '{{}}')::timestamptz
            AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
        ELSE part.value END) FROM jsonb_each({row}) AS part WHERE '{names}'::jsonb ? part.key)"""


def shown_row(column: str) -> str:
    """Return a document's `before` or `after`, or the entries of assignments, each with its count."""
    entries = f"""(SELECT jsonb_agg({on_the_wire("entry")} || jsonb_build_object('count', (
        SELECT sum(upper(span) - lower(span)) FROM unnest((entry ->> 'keys')::int8multirange) AS span)))
        FROM jsonb_array_elements({column}) AS entry)"""
    kinds = f"WHEN 'object' THEN {on_the_wire(column)} WHEN 'array' THEN {entries}"
    return f"CASE jsonb_typeof({column}) {kinds} END"


MEMBER_TABLES = {
    "segment-customer": ("accounts_customer", "customer"),
    "segment-product": ("catalog_product", "product"),
    "segment-category": ("catalog_category", "category"),
    "category-product": ("catalog_product", "product"),
}
MEMBERS = f"""(SELECT array_agg(CASE change.object {
    " ".join(
        f'''WHEN '{name}' THEN coalesce(
        (SELECT it.external_id FROM {table} AS it WHERE it.id = member.key), (
        SELECT gone.external_id FROM journal_change AS gone WHERE gone.tenant_id = change.tenant_id
        AND gone.object = '{document}' AND gone.key = member.key AND gone.kind = 'deleted' LIMIT 1))'''
        for name, (table, document) in MEMBER_TABLES.items()
    )
} END) FROM (SELECT generate_series(lower(span), upper(span) - 1) AS key FROM unnest(change.keys) AS span
    LIMIT {SHOWN_MEMBERS}) AS member WHERE change.keys IS NOT NULL)"""
OBJECT_ID = """coalesce(change.external_id, CASE WHEN change.object LIKE 'segment-%%' THEN (
    SELECT gone.external_id FROM journal_change AS gone WHERE gone.tenant_id = change.tenant_id
    AND gone.object = 'segment' AND gone.key = change.key AND gone.kind = 'deleted' LIMIT 1) END)"""
ACTOR_NAME = """coalesce(nullif(change.actor_name, ''), CASE change.actor_type
    WHEN 'client' THEN (SELECT client.name FROM identity_apiclient AS client
        WHERE client.client_id = change.actor_id)
    WHEN 'customer' THEN (SELECT concat_ws(' ', nullif(one.first_name, ''), nullif(one.last_name, ''))
        FROM accounts_customer AS one
        WHERE one.tenant_id = change.tenant_id AND one.external_id = change.actor_id) END)"""


class ShownRow(Json):
    """What a document was, or a list of what members were."""


@field_schema.register
def _(field: ShownRow) -> JsonObject:
    row = {"type": "object", "additionalProperties": True}
    return {"oneOf": [row, {"type": "array", "items": row}]}


CHANGE = Representation(
    name="Change",
    table="journal_change",
    alias="change",
    fields={
        "id": Integer("change.id"),
        "at": Time("change.at"),
        "kind": Text("change.kind"),
        "object": Nested({"type": Text("change.object"), "id": Text(OBJECT_ID)}),
        "actor": Nested(
            {
                "type": Text("change.actor_type"),
                "id": Text("change.actor_id", omit_empty=True),
                "name": Text(ACTOR_NAME, omit_empty=True),
            }
        ),
        "source": Nested(
            {
                "type": Text("change.source_type", omit_empty=True),
                "id": Text("change.source_id", omit_empty=True),
            }
        ),
        "cascade": Boolean("change.is_cascade"),
        "count": Integer("change.count"),
        "members": Texts(MEMBERS),
        "before": ShownRow(shown_row("change.before")),
        "after": ShownRow(  # OFFSET, or the planner would write the inner expression three times
            f"(SELECT {shown_row('made.after')} FROM (SELECT {after_of_any()} AS after OFFSET 0) AS made)"
        ),
        "secrets": Texts("change.hidden"),
        "undoable": Boolean(undoable_condition()),
    },
    documented={
        "id": {"description": "Later changes of the same thing have higher ids."},
        "at": {"description": "When it was written."},
        "kind": {"enum": ["created", "updated", "deleted"], "description": "What happened."},
        "object": {"description": "What changed: a document, or the members or items of one."},
        "object.type": {"description": "segment, segment-customer, segment-product, coupon, category ..."},
        "object.id": {"description": "The id of the document; of the segment or category for its members."},
        "actor": {"description": "Who did it."},
        "actor.type": {
            "enum": ["client", "customer", "anonymous", "staff", "command", "rule", "sql"],
            "description": "sql is a write by hand, with the database role as id.",
        },
        "actor.id": {"description": "The client's id, customer's number, user's or command's name."},
        "actor.name": {"description": "The name, or the operating system's user of a command."},
        "source": {"description": "On what occasion."},
        "source.type": {
            "description": "request, admin, filter (a page of the admin acted on all rows of a filtered"
            " list), import, undo, undo-import or member-operation."
        },
        "source.id": {
            "description": "The id of the request or import; of a filter the request's id and the filter in"
            " words."
        },
        "cascade": {"description": "Whether it followed from the deletion of something else."},
        "count": {"description": "How many rows: one entry about members or items covers many."},
        "members": {"description": f"Up to {SHOWN_MEMBERS} of the customers, products or categories."},
        "before": {
            "description": "What it was: the fields that differ; of members a list, each for `count`.",
            "oneOf": [
                {"type": "object", "additionalProperties": True},
                {"type": "array", "items": {"type": "object", "additionalProperties": True}},
            ],
        },
        "after": {"description": "What it became: the fields that differ."},
        "secrets": {"description": "Secret fields that changed; their values are not kept."},
        "undoable": {
            "description": "Whether it can be taken back, at least for some rows. What followed from a"
            " deletion, and parts of coupons and categories, are taken back with what they belong to."
        },
    },
)


def keys_ever(tenant_id: int, *, table: Sql, object_name: str, external_id: str) -> Sql:
    """An expression of type `bigint[]`: the keys that had this wire id, of what is gone as well."""
    return sql(
        "ARRAY(SELECT it.id FROM {table} AS it WHERE it.tenant_id = {tenant} AND it.external_id = {id}"
        " UNION SELECT gone.key FROM journal_change AS gone WHERE gone.tenant_id = {tenant}"
        " AND gone.object = {object} AND gone.external_id = {id} AND gone.kind = 'deleted')",
        table=table,
        tenant=param(tenant_id),
        object=param(object_name),
        id=param(external_id),
    )


def of_member(tenant_id: int, segments: Sql, customers: Sql, entities: Sql | None) -> Sql:
    """The condition that a change is one of these members of these segments, by arrays of their keys.

    Looks the changes up by member first: the index knows which may hold them.
    """
    return sql(
        "change.tenant_id = {tenant} AND change.id = ANY(ARRAY(SELECT found.id"
        " FROM unnest({segments}) AS segment (key) CROSS JOIN unnest({customers}) AS customer (key)"
        # OFFSET keeps the planner from any other index than that of members
        " CROSS JOIN LATERAL (SELECT held.* FROM journal_change AS held WHERE {holds} OFFSET 0) AS found"
        " WHERE found.tenant_id = {tenant} AND found.object = 'segment-customer'"
        " AND found.key = segment.key{entity}))",
        holds=holds("held", Sql("customer.key")),
        tenant=param(tenant_id),
        segments=segments,
        customers=customers,
        entity=Sql("")
        if entities is None
        else sql(" AND found.legal_entity_id = ANY({keys})", keys=entities),
    )


def shown_objects(scopes: Sequence[str] | frozenset[str]) -> list[str]:
    """Return what a caller with these scopes may read changes of."""
    shown = [name for scope, names in READERS.items() if scope in scopes for name in names]
    return [*shown, *OF_RULES] if may_read_rules(scopes) else shown


def may_read_rules(scopes: Sequence[str] | frozenset[str]) -> bool:
    """Say whether a caller with these scopes may read changes of rules and exclusions."""
    return all(scope in scopes for scope in FOR_RULES)


def scopes_to_undo(change_id: int, object_name: str) -> list[str]:
    """Return the scopes that taking the change back needs, each of them."""
    if object_name in OF_RULES:
        return list(FOR_RULES)
    scopes = [scope for scope, names in WRITERS.items() if object_name in names]
    if object_name in PUBLISHERS:
        rows = fetch_rows(
            sql(
                "SELECT (before ->> 'is_published')::boolean, kind FROM journal_change WHERE id = {id}",
                id=param(change_id),
            )
        )
        scopes += [
            PUBLISHERS[object_name][published]
            for published, kind in rows
            if published is not None and (published or kind == "updated")
        ]
    return scopes
