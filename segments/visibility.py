"""Visibility: the one place that knows which segments count for a customer, and which items they hold.

A segment counts for a shopper when it is effective at the instant asked for, and when the shopper belongs to
it at that instant: by a B2C assignment, or by a B2B assignment for the legal entity that they act for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from accounts.identity.scopes import SEGMENT_READ
from catalog.extensions import HeldCategories
from catalog.revisions import PRODUCT_NAMES, TREE
from core.revisions.counting import TABLE as REVISIONS
from core.sql.composition import Sql, bind, composed_once, expression, identifier, integer, param, sql
from core.sql.fetching import fetch_rows
from core.tenancy.callers import Caller, CallerKind
from core.windows import open_at
from segments.assortment import categories_in_assortment, products_in_assortment
from segments.customer_context import CustomerContext, Shopper, checked_customer_context, shopper_of
from segments.errors import UnknownSite
from segments.revisions import SITES


@dataclass(frozen=True, slots=True)
class ResolvedSegments:
    """The customer of a request, the keys of the segments that count for them, ascending, and their state.

    `revisions` are those of the segments, taken together, and of what else is shown with them. At
    `changes_at` the next window of one of their items or of a category opens or has closed (None: there is no
    such window); that is a text of PostgreSQL's, as it is only compared. All was read in one statement.
    """

    context: CustomerContext
    segment_ids: tuple[int, ...] = ()
    revisions: tuple[int, ...] = ()
    changes_at: str | None = None

    @property
    def documents(self) -> tuple[object, ...]:
        """What answers that show the segments themselves depend on."""
        return self.segment_ids, self.revisions[: 1 + len(DOCUMENT_SUBJECTS)]

    @property
    def contents(self) -> tuple[object, ...]:
        """What answers that show items and categories of the segments depend on."""
        return self.segment_ids, self.revisions, self.changes_at


ANY_SEGMENT = Sql("TRUE")
NOTHING = Sql("NULL::bigint")
DOCUMENT_SUBJECTS = (SITES,)
"""What is shown of segments themselves, beside each segment."""
SHOWN_SUBJECTS = (*DOCUMENT_SUBJECTS, TREE, PRODUCT_NAMES)
"""What is shown of segments, their items and categories, beside each segment."""


def next_boundary(table: str, owner: Sql, at: Sql) -> Sql:
    """The next instant at which a window of the owner's rows opens or closes: two looks into indexes."""
    return Sql.joined(
        ", ",
        [
            sql(
                "(SELECT {column} FROM {table} AS owned WHERE {owner} AND {column} {from_} {at}"
                " ORDER BY {column} LIMIT 1)",
                column=identifier("owned", column),
                table=identifier(table),
                owner=owner,
                from_=Sql(from_),
                at=at,
            )
            for column, from_ in (("valid_from", ">"), ("valid_to", ">="))
        ],
    )


def state_of(keys: Sql, tenant: Sql, at: Sql, subjects: Sequence[int] = SHOWN_SUBJECTS) -> Sql:
    """A SELECT of one row: the `revisions` and `changes_at` of ResolvedSegments, whose keys are an array."""
    return sql(
        "SELECT ARRAY[coalesce(sum(revision.count) FILTER (WHERE revision.subject > 0), 0)::bigint, {named}]"
        " AS revisions, (SELECT least({of_categories}, (SELECT min(least({of_items}))"
        " FROM unnest({keys}) AS segment (id))))::text AS changes_at"
        " FROM {revisions} AS revision"
        " WHERE revision.tenant_id = {tenant}"
        " AND revision.subject = ANY({keys} || ARRAY[{subjects}]::bigint[])",
        named=Sql.joined(
            ", ",
            [
                sql(
                    "coalesce(sum(revision.count) FILTER (WHERE revision.subject = {subject}), 0)::bigint",
                    subject=integer(subject),
                )
                for subject in subjects
            ],
        ),
        of_categories=next_boundary("catalog_category", sql("owned.tenant_id = {t}", t=tenant), at),
        of_items=next_boundary("segments_itemassignment", Sql("owned.segment_id = segment.id"), at),
        keys=keys,
        revisions=REVISIONS,
        tenant=tenant,
        subjects=Sql.joined(", ", [integer(subject) for subject in subjects]),
    )


def effective(at: datetime | Sql, alias: str = "segment") -> Sql:
    """The condition that a segment is effective: ACTIVE, with `at` in its window."""
    return sql(
        "{segment}.status = 'ACTIVE' AND {window}", segment=identifier(alias), window=open_at(at, alias)
    )


def on_site(tenant_id: int, site_code: str | None, alias: str = "segment") -> Sql:
    """The condition that a segment belongs to the site; always true when none is named."""
    if not site_code:
        return ANY_SEGMENT
    return sql("{segment}.site_id = {site}", segment=identifier(alias), site=site_key(tenant_id, site_code))


def site_key(tenant_id: int, site_code: str) -> Sql:
    """The key of a site as an expression; NULL when there is none."""
    return bind(
        "(SELECT id FROM accounts_site WHERE tenant_id = {tenant} AND code = {code})",
        tenant=tenant_id,
        code=site_code,
    )


def named(segment_ids: Sequence[str]) -> Sql:
    """The condition that a segment is one of these, by their wire ids."""
    return bind("segment.external_id = ANY({ids:text[]})", ids=list(segment_ids))


def keys_of_segments(tenant_id: int | Sql, conditions: Sequence[Sql]) -> Sql:
    """An expression of type `bigint[]`: the keys of the tenant's segments that meet all conditions."""
    return sql(
        "ARRAY(SELECT segment.id FROM segments_segment AS segment"
        " WHERE segment.tenant_id = {tenant} AND {condition})",
        tenant=expression(tenant_id),
        condition=Sql.joined(" AND ", conditions),
    )


def require_site(tenant_id: int, site_code: str) -> None:
    """Raise UnknownSite unless the tenant has this site."""
    if fetch_rows(sql("SELECT {site}", site=site_key(tenant_id, site_code))) == [(None,)]:
        raise UnknownSite(site_code)


def segments_of_member(
    tenant_id: int | Sql,
    *,
    customer: Sql,
    legal_entity: Sql,
    at: datetime | Sql,
    narrowed_by: Sql = ANY_SEGMENT,
) -> Sql:
    """A SELECT of the keys of the segments that count; customer and entity are given as expressions.

    `narrowed_by` is a condition on `segment`. Each segment of the customer is looked up by its key, so that
    it costs the same however many segments there are.
    """
    return sql(
        "SELECT DISTINCT segment.id FROM segments_customerassignment AS membership CROSS JOIN LATERAL ("
        "SELECT segment.id FROM segments_segment AS segment"
        " WHERE segment.tenant_id = membership.tenant_id AND segment.id = membership.segment_id"
        " AND {is_effective} AND {narrowed_by} LIMIT 1) AS segment"
        " WHERE membership.tenant_id = {tenant} AND membership.customer_id = {customer}"
        " AND (membership.legal_entity_id IS NULL OR membership.legal_entity_id = {legal_entity})"
        " AND {window}",
        is_effective=effective(at),
        narrowed_by=narrowed_by,
        tenant=expression(tenant_id),
        customer=customer,
        legal_entity=legal_entity,
        window=open_at(at, "membership"),
    )


def resolve(
    shopper: Shopper, *, at: datetime, site_code: str | None = None, segment_id: str | None = None
) -> ResolvedSegments:
    """Return the customer, the segments that count for them, and how long that holds, in one statement.

    `site_code` and `segment_id` (a wire id) narrow the segments. Raises UnknownSite, and NotAllowed when
    the shopper names a legal entity that is not theirs.
    """
    customer, legal_entity = shopper.keys()
    statement = resolving_statement(
        bool(site_code),
        segment_id is not None,
        tenant=param(shopper.tenant_id, "bigint"),
        at=param(at, "timestamptz"),
        customer=customer,
        legal_entity=legal_entity,
        site=site_key(shopper.tenant_id, site_code) if site_code else NOTHING,
        segment_id=NOTHING if segment_id is None else param(segment_id),
    )
    [(customer_id, legal_entity_id, site_id, keys, revisions, changes_at)] = fetch_rows(
        statement, prepared=True
    )
    if site_code and site_id is None:
        raise UnknownSite(site_code)
    context = checked_customer_context(shopper, customer_id, legal_entity_id)
    return ResolvedSegments(context, tuple(keys), tuple(revisions), changes_at)


@composed_once
def resolving_statement(
    on_site: bool,
    in_segment: bool,
    *,
    tenant: Sql,
    at: Sql,
    customer: Sql,
    legal_entity: Sql,
    site: Sql,
    segment_id: Sql,
) -> Sql:
    """Return the statement of `resolve`.

    Every input but the segment's id is a column of the one-row CTE `shopper`, so only a handful of distinct
    statements exist and each stays prepared.
    """
    conditions = [ANY_SEGMENT]
    if on_site:
        conditions.append(Sql("segment.site_id = shopper.site_id"))
    if in_segment:
        conditions.append(sql("segment.external_id = {segment_id}", segment_id=segment_id))
    member = segments_of_member(
        Sql("shopper.tenant_id"),
        customer=Sql("shopper.customer_id"),
        legal_entity=Sql("shopper.legal_entity_id"),
        at=Sql("shopper.at"),
        narrowed_by=Sql.joined(" AND ", conditions),
    )
    return sql(
        "WITH shopper AS MATERIALIZED (SELECT {tenant} AS tenant_id, {at} AS at,"
        " {customer} AS customer_id, {legal_entity} AS legal_entity_id, {site} AS site_id)"
        " SELECT customer_id, legal_entity_id, site_id, counting.keys, state.revisions, state.changes_at"
        # OFFSET 0: the keys are found once, not wherever they are named
        " FROM shopper CROSS JOIN LATERAL (SELECT ARRAY({member} ORDER BY 1) AS keys OFFSET 0) AS counting"
        " CROSS JOIN LATERAL ({state}) AS state",
        tenant=tenant,
        at=at,
        customer=customer,
        legal_entity=legal_entity,
        site=site,
        member=member,
        state=state_of(Sql("counting.keys"), Sql("shopper.tenant_id"), Sql("shopper.at")),
    )


def matching_products(
    *, tenant_id: int, segment_ids: Sequence[int], product_ids: Sequence[str], at: datetime
) -> frozenset[str]:
    """Return those of the products (by their wire ids) that one of the segments (by key) holds at `at`.

    A product is held by its own assignment, or because a category that contains it is assigned: its own
    category, or with `includes_subcategories` any category above it. One statement. The caller decides
    whether the segments are effective, and for whom.
    """
    if not segment_ids or not product_ids:
        return frozenset()
    segments = param(list(segment_ids), "bigint[]")
    statement = products_in_assortment(tenant_id, segments, product_ids=product_ids, at=at)
    return frozenset(external_id for (external_id,) in fetch_rows(statement, prepared=True))


def matching_products_in(
    *, tenant_id: int, segment_ids: Sequence[str], site_code: str, product_ids: Sequence[str], at: datetime
) -> list[str]:
    """Return those of the products that one of the segments holds at `at`, all by wire ids.

    They come in the order given, each once. Only segments count that are effective at `at` and of that site.
    One statement, and one more to raise UnknownSite when nothing matches.
    """
    if not segment_ids or not product_ids:
        return []
    segments = keys_of_segments(tenant_id, [named(segment_ids), effective(at), on_site(tenant_id, site_code)])
    statement = products_in_assortment(tenant_id, segments, product_ids=product_ids, at=at)
    found = {external_id for (external_id,) in fetch_rows(statement, prepared=True)}
    if not found:
        require_site(tenant_id, site_code)
    return [product_id for product_id in dict.fromkeys(product_ids) if product_id in found]


def categories_of_segments(
    *, caller: Caller, segment_ids: Sequence[str], at: datetime, subjects: Sequence[int]
) -> HeldCategories:
    """Return the categories that are assigned to one of the segments (by their wire ids). One statement.

    A customer may name only segments that count for them; others are ignored, as are those that are not
    effective unless the caller may read all segments.
    """
    tenant_id, is_member = caller.tenant.id, caller.kind is CallerKind.CUSTOMER
    customer, legal_entity = shopper_of(caller).keys() if is_member else (NOTHING, NOTHING)
    statement = choosing_statement(
        is_member,
        SEGMENT_READ in caller.scopes,
        tuple(subjects),
        tenant=param(tenant_id, "bigint"),
        at=param(at, "timestamptz"),
        customer=customer,
        legal_entity=legal_entity,
        segment_ids=param(list(segment_ids), "text[]"),
    )
    [(found, revisions, changes_at)] = fetch_rows(statement, prepared=True)
    keys = sorted(found)
    return HeldCategories(
        partial(categories_in_assortment, tenant_id, param(keys, "bigint[]"), at=at),
        (keys, revisions, changes_at),
    )


@composed_once
def choosing_statement(
    is_member: bool,
    reads_all: bool,
    subjects: tuple[int, ...],
    *,
    tenant: Sql,
    at: Sql,
    customer: Sql,
    legal_entity: Sql,
    segment_ids: Sql,
) -> Sql:
    """Return the statement of `categories_of_segments`: the keys of the segments, and their state."""
    is_named = sql("segment.external_id = ANY({ids})", ids=segment_ids)
    if is_member:
        member = segments_of_member(
            Sql("shopper.tenant_id"),
            customer=Sql("shopper.customer_id"),
            legal_entity=Sql("shopper.legal_entity_id"),
            at=Sql("shopper.at"),
            narrowed_by=is_named,
        )
        keys = sql("ARRAY({member})", member=member)
    else:
        conditions = [is_named] if reads_all else [is_named, effective(Sql("shopper.at"))]
        keys = keys_of_segments(Sql("shopper.tenant_id"), conditions)
    return sql(
        "WITH shopper AS MATERIALIZED (SELECT {tenant} AS tenant_id, {at} AS at,"
        " {customer} AS customer_id, {legal_entity} AS legal_entity_id)"
        " SELECT chosen.keys, state.revisions, state.changes_at"
        " FROM shopper CROSS JOIN LATERAL (SELECT {keys} AS keys OFFSET 0) AS chosen"
        " CROSS JOIN LATERAL ({state}) AS state",
        tenant=tenant,
        at=at,
        customer=customer,
        legal_entity=legal_entity,
        keys=keys,
        state=state_of(Sql("chosen.keys"), Sql("shopper.tenant_id"), Sql("shopper.at"), subjects),
    )
