"""What the columns of the journal hold, and how a customer is erased and exported there.

Only this erasure changes what the journal says: that something was changed, when and by whom stays, what it
says of the customer goes.
"""

from core.journal.copying import after_of_any
from core.journal.lookups import holds
from core.journal.models import Change
from core.json_types import JsonObject
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    exported,
    register_eraser,
    register_exporter,
)
from core.personal_data.declarations import ERASE, KEEP, PSEUDONYM, declare, each
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute
from core.sql.locks import Lock, take_lock

declare(
    Change,
    {
        **each(KEEP("a name in the code"), "kind", "object", "hidden", "actor_type", "source_type"),
        **each(PSEUDONYM, "external_id", "actor_id"),
        **each(ERASE, "before", "after", "actor_name"),
        "source_id": ERASE,  # the words of a filter may name somebody; ids of requests and imports stay
    },
)

# The condition that a row of the journal is about something that is a customer's.
OWN_OBJECTS = (
    "(change.object = 'customer' AND change.key = {customer}"
    " OR change.object IN ('legacy-password', 'session') AND change.owner_key = {customer}"
    " OR change.object = 'contact-assignment' AND change.key IN (SELECT contact.key"
    " FROM journal_change AS contact WHERE contact.tenant_id = {tenant}"
    " AND contact.object = 'contact-assignment'"
    " AND coalesce(contact.after, contact.before) ->> 'customer_id' = {customer}::text))"
)
# Each group of rows of `before` that holds the customer is divided, so that others keep their attributes.
WITHOUT_ATTRIBUTES = (
    "(SELECT jsonb_agg(part) FROM jsonb_array_elements(change.before) AS given (entry),"
    " LATERAL (SELECT (given.entry ->> 'keys')::int8multirange AS keys,"
    " int8multirange(int8range({customer}, {customer}, '[]')) AS own) AS held,"
    " LATERAL (SELECT given.entry AS part WHERE NOT held.keys @> held.own"
    " UNION ALL SELECT given.entry || jsonb_build_object('keys', (held.keys - held.own)::text)"
    " WHERE held.keys @> held.own AND NOT isempty(held.keys - held.own)"
    " UNION ALL SELECT given.entry - 'mixins' - 'mixin_schemas'"
    " || jsonb_build_object('keys', held.own::text) WHERE held.keys @> held.own) AS divided)"
)


def own_objects(trace: CustomerTrace) -> Sql:
    slots = slots_of(trace)
    return sql(OWN_OBJECTS, tenant=slots["tenant"], customer=slots["customer"])


def slots_of(trace: CustomerTrace) -> dict[str, Sql]:
    return {
        "tenant": param(trace.tenant_id),
        "customer": param(trace.customer_id, "bigint"),
        "number": param(trace.number),
        "pseudonym": param(trace.pseudonym),
    }


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Take out of the journal what it says of the customer. Runs after the deletion, which it records too."""
    take_lock(Lock.SETTLING, is_shared=True)  # what moved meanwhile would be found in neither place
    slots = slots_of(trace)
    own = execute(
        sql(
            "UPDATE journal_change AS change"
            " SET external_id = CASE WHEN external_id IS NOT NULL THEN {pseudonym} END,"
            " before = CASE WHEN before IS NOT NULL THEN '{{}}'::jsonb END,"
            " after = CASE WHEN after IS NOT NULL THEN '{{}}'::jsonb END"
            " WHERE change.tenant_id = {tenant} AND {own_objects}",
            tenant=slots["tenant"],
            own_objects=own_objects(trace),
            pseudonym=slots["pseudonym"],
        )
    )
    memberships = execute(
        sql(
            "UPDATE journal_change AS change SET before = {without_attributes}"
            " WHERE change.tenant_id = {tenant} AND change.object = 'segment-customer'"
            " AND {is_held} AND jsonb_typeof(change.before) = 'array'",
            tenant=slots["tenant"],
            is_held=holds("change", slots["customer"]),
            without_attributes=sql(WITHOUT_ATTRIBUTES, customer=slots["customer"]),
        )
    )
    redemptions = execute(
        sql(
            "UPDATE journal_change AS change SET before = {before}, after = {after}"
            " WHERE change.tenant_id = {tenant} AND change.object = 'redemption' AND change.key IN ("
            # a change of other columns does not name the customer
            "SELECT named.key FROM journal_change AS named"
            " WHERE named.tenant_id = {tenant} AND named.object = 'redemption'"
            " AND {number} IN (named.before ->> 'customer_number', named.after ->> 'customer_number'))",
            tenant=slots["tenant"],
            number=slots["number"],
            before=redemption_without_number(Sql("change.before"), trace),
            after=redemption_without_number(Sql("change.after"), trace),
        )
    )
    coupons = execute(
        sql(
            "UPDATE journal_change AS change SET before = {before}, after = {after}"
            " WHERE change.tenant_id = {tenant} AND change.object = 'coupon'"
            " AND ({number} IN (change.before ->> 'issued_to', change.after ->> 'issued_to')"
            " OR jsonb_exists(change.before -> 'valid_for', {number})"
            " OR jsonb_exists(change.after -> 'valid_for', {number}))",
            tenant=slots["tenant"],
            number=slots["number"],
            before=coupon_without_number(Sql("change.before"), trace),
            after=coupon_without_number(Sql("change.after"), trace),
        )
    )
    acts = execute(
        sql(
            "UPDATE journal_change SET actor_id = {pseudonym}, actor_name = '' WHERE tenant_id = {tenant}"
            " AND actor_type = 'customer' AND actor_id = {number}",
            tenant=slots["tenant"],
            number=slots["number"],
            pseudonym=slots["pseudonym"],
        )
    )
    filters = execute(
        sql(
            "UPDATE journal_change AS change SET source_id = split_part(change.source_id, ' ', 1)"
            " WHERE change.source_type = 'filter' AND change.tenant_id = {tenant} AND {mentioned}",
            tenant=slots["tenant"],
            mentioned=trace.clearly_mentioned_in(Sql("change.source_id")),
        )
    )
    return {"changes": own + memberships + redemptions + coupons + acts + filters}


def redemption_without_number(document: Sql, trace: CustomerTrace) -> Sql:
    return sql(
        "{document} || CASE WHEN {document} ->> 'customer_number' = {number}"
        " THEN jsonb_build_object('customer_number', {pseudonym}::text) ELSE '{{}}' END"
        " || CASE WHEN jsonb_exists({document}, 'idempotency_key')"
        " THEN jsonb_build_object('idempotency_key', '') ELSE '{{}}' END"
        " || CASE WHEN {mentioned} THEN jsonb_build_object('order_code', '') ELSE '{{}}' END",
        document=document,
        number=param(trace.number),
        pseudonym=param(trace.pseudonym),
        mentioned=trace.clearly_mentioned_in(sql("({document} ->> 'order_code')", document=document)),
    )


def coupon_without_number(document: Sql, trace: CustomerTrace) -> Sql:
    return sql(
        "{document} || CASE WHEN {document} ->> 'issued_to' = {number}"
        " THEN jsonb_build_object('issued_to', {pseudonym}::text) ELSE '{{}}' END"
        " || CASE WHEN jsonb_exists({document} -> 'valid_for', {number}) THEN jsonb_build_object('valid_for',"
        " ({document} -> 'valid_for') - {number}::text || to_jsonb({pseudonym}::text)) ELSE '{{}}' END",
        document=document,
        number=param(trace.number),
        pseudonym=param(trace.pseudonym),
    )


def export(trace: CustomerTrace) -> JsonObject:
    """Tell what the journal says of the customer's own documents, and what the customer changed."""
    columns = {
        "at": "change.at",
        "kind": "change.kind",
        "object": "change.object",
        "id": "change.external_id",
        "before": "CASE WHEN change.object = 'segment-customer' THEN NULL ELSE change.before END",
        "after": after_of_any(),
        "actorType": "change.actor_type",
        "actorId": "change.actor_id",
    }
    changes = sql(
        "FROM journal_change AS change WHERE change.tenant_id = {tenant}"
        " AND ({own_objects} OR change.object = 'segment-customer' AND {is_held}"
        " OR change.actor_type = 'customer' AND change.actor_id = {number}) ORDER BY change.id",
        tenant=param(trace.tenant_id),
        is_held=holds("change", param(trace.customer_id, "bigint")),
        number=param(trace.number),
        own_objects=own_objects(trace),
    )
    return {"changes": exported(columns, changes, documents=["before", "after"])}


register_eraser(Eraser("journal", erase, is_last=True))
register_exporter(Exporter("journal", export))
