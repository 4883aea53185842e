"""Who sees what: the one place that knows which segments count for whom, and which items they hold.

A segment counts for a shopper when it is effective at the instant asked for, and when the shopper belongs to
it at that instant: by a B2C assignment, or by a B2B assignment for the legal entity that they act for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from accounts.identity.scopes import SEGMENT_READ
from core.sql.statements import Sql, expression, fetch_rows
from core.tenancy.callers import Caller, CallerKind
from core.windows import open_at
from segments.assortment import categories_held, products_held
from segments.customer_context import Shopper, Viewer, checked_viewer, shopper_of
from segments.errors import UnknownSite


@dataclass(frozen=True, slots=True)
class Sight:
    """What a shopper's request resolves to: who looks, and the keys of the segments that count, ascending.

    What these segments show stays the same while the tenant's `revision` does and until `changes_at`, when
    the next window of an assignment or a category opens or has closed (None: there is no such window). The
    instant is a text of PostgreSQL's, as it is only compared.
    """

    viewer: Viewer
    segment_ids: tuple[int, ...] = ()
    revision: int = 0
    changes_at: str | None = None


ANY_SEGMENT = Sql("TRUE")
NOTHING = Sql("NULL::bigint")
BOUNDARIES = [
    f"(SELECT {column} FROM {table}"
    f" WHERE tenant_id = shopper.tenant_id AND {column} {from_} shopper.at ORDER BY {column} LIMIT 1)"
    for table in ("segments_itemassignment", "catalog_category")
    for column, from_ in (("valid_from", ">"), ("valid_to", ">="))
]
# The next instant at which a window of an item assignment or a category of the shopper's tenant opens or
# closes: one look into an index for each kind of boundary.
NEXT_BOUNDARY = f"least({', '.join(BOUNDARIES)})"


def effective(at: datetime | Sql, alias: str = "segment") -> Sql:
    """The condition that a segment is effective: ACTIVE, with `at` in its window."""
    window = open_at(at, alias)
    return Sql(f"{alias}.status = 'ACTIVE' AND {window.text}", window.values)


def on_site(tenant_id: int, site_code: str | None, alias: str = "segment") -> Sql:
    """The condition that a segment belongs to the site; always true when none is named."""
    if not site_code:
        return ANY_SEGMENT
    site = site_key(tenant_id, site_code)
    return Sql(f"{alias}.site_id = {site.text}", site.values)


def site_key(tenant_id: int, site_code: str) -> Sql:
    """The key of a site as an expression; NULL when there is none."""
    return Sql("(SELECT id FROM accounts_site WHERE tenant_id = %s AND code = %s)", (tenant_id, site_code))


def named(segment_ids: Sequence[str]) -> Sql:
    """The condition that a segment is one of these, by their wire ids."""
    return Sql("segment.external_id = ANY(%s::text[])", (list(segment_ids),))


def keys_of_segments(tenant_id: int, conditions: Sequence[Sql]) -> Sql:
    """An expression of type `bigint[]`: the keys of the tenant's segments that meet all conditions."""
    condition = Sql.joined(" AND ", conditions)
    return Sql(
        "ARRAY(SELECT segment.id FROM segments_segment AS segment"
        f" WHERE segment.tenant_id = %s AND {condition.text})",
        (tenant_id, *condition.values),
    )


def require_site(tenant_id: int, site_code: str) -> None:
    """Raise UnknownSite unless the tenant has this site."""
    site = site_key(tenant_id, site_code)
    if fetch_rows(Sql(f"SELECT {site.text}", site.values)) == [(None,)]:
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
    tenant, joined, is_effective = expression(tenant_id), open_at(at, "membership"), effective(at)
    return Sql(
        "SELECT DISTINCT segment.id FROM segments_customerassignment AS membership CROSS JOIN LATERAL ("
        "SELECT segment.id FROM segments_segment AS segment"
        " WHERE segment.tenant_id = membership.tenant_id AND segment.id = membership.segment_id"
        f" AND {is_effective.text} AND {narrowed_by.text} LIMIT 1) AS segment"
        f" WHERE membership.tenant_id = {tenant.text} AND membership.customer_id = {customer.text}"
        f" AND (membership.legal_entity_id IS NULL OR membership.legal_entity_id = {legal_entity.text})"
        f" AND {joined.text}",
        (
            *is_effective.values,
            *narrowed_by.values,
            *tenant.values,
            *customer.values,
            *legal_entity.values,
            *joined.values,
        ),
    )


def visible_segments(viewer: Viewer, *, at: datetime, site_code: str | None = None) -> tuple[int, ...]:
    """Return the keys of the segments that count for the viewer at `at`, ascending, in one statement.

    With `site_code`, only those of that site: none when there is no such site.
    """
    if viewer.customer_id is None:
        return ()
    member = segments_of_member(
        viewer.tenant_id,
        customer=Sql("%s::bigint", (viewer.customer_id,)),
        legal_entity=Sql("%s::bigint", (viewer.legal_entity_id,)),
        at=at,
        narrowed_by=on_site(viewer.tenant_id, site_code),
    )
    return tuple(key for (key,) in fetch_rows(Sql(f"{member.text} ORDER BY 1", member.values)))


def resolve(
    shopper: Shopper, *, at: datetime, site_code: str | None = None, segment_id: str | None = None
) -> Sight:
    """Return the viewer, the segments that count for them, and how long that holds, in one statement.

    `site_code` and `segment_id` (a wire id) narrow the segments. Raises NotAllowed as `viewer_of` does, and
    UnknownSite.
    """
    customer = acting = site = NOTHING
    if shopper.is_known:
        customer, acting = shopper.customer_key, shopper.acting_legal_entity
    if site_code:
        site = site_key(shopper.tenant_id, site_code)
    segment_ids = () if segment_id is None else (segment_id,)
    text = sight_text(customer.text, acting.text, site.text, in_segment=bool(segment_ids))
    values = (shopper.tenant_id, at, *customer.values, *acting.values, *site.values, *segment_ids)
    [(customer_id, legal_entity_id, site_id, keys, revision, changes_at)] = fetch_rows(
        Sql(text, values), keeps_plan=True
    )
    if site_code and site_id is None:
        raise UnknownSite(site_code)
    viewer = checked_viewer(shopper, customer_id, legal_entity_id)
    return Sight(viewer, tuple(keys), revision, changes_at)


@cache
def sight_text(customer: str, acting: str, site: str, *, in_segment: bool) -> str:
    """Return the text of the statement of `resolve`; customer, entity and site are expressions for keys.

    All that is asked for stands in its one row `shopper`, so that there are only some such texts.
    """
    conditions = [ANY_SEGMENT]
    if site != NOTHING.text:
        conditions.append(Sql("segment.site_id = shopper.site_id"))
    if in_segment:
        conditions.append(Sql("segment.external_id = %s"))
    member = segments_of_member(
        Sql("shopper.tenant_id"),
        customer=Sql("shopper.customer_id"),
        legal_entity=Sql("shopper.legal_entity_id"),
        at=Sql("shopper.at"),
        narrowed_by=Sql.joined(" AND ", conditions),
    )
    return (
        "WITH shopper AS MATERIALIZED (SELECT %s::bigint AS tenant_id, %s::timestamptz AS at,"
        f" {customer} AS customer_id, {acting} AS legal_entity_id, {site} AS site_id)"
        f" SELECT customer_id, legal_entity_id, site_id, ARRAY({member.text} ORDER BY 1),"
        " (SELECT coalesce(sum(count), 0)::bigint FROM segments_assortmentrevision AS revision"
        " WHERE revision.tenant_id = shopper.tenant_id),"
        f" {NEXT_BOUNDARY}::text FROM shopper"
    )


def matching_products(
    *, tenant_id: int, segment_ids: Sequence[int], product_ids: Sequence[str], at: datetime
) -> frozenset[str]:
    """Return those of the products (by their wire ids) that one of the segments (by key) holds at `at`.

    A product is held by its own assignment, or because a category that it stands in is assigned: that very
    category, or with `includes_subcategories` any category above it. One statement. Whether the segments
    are effective, and for whom, is the caller's question.
    """
    if not segment_ids or not product_ids:
        return frozenset()
    segments = Sql("%s::bigint[]", (list(segment_ids),))
    statement = products_held(tenant_id, segments, product_ids=product_ids, at=at)
    return frozenset(external_id for (external_id,) in fetch_rows(statement, keeps_plan=True))


def matching_products_in(
    *, tenant_id: int, segment_ids: Sequence[str], site_code: str, product_ids: Sequence[str], at: datetime
) -> frozenset[str]:
    """Return those of the products that one of the segments, all by wire ids, holds at `at`.

    Only segments count that are effective at `at` and of that site. One statement, and one more to raise
    UnknownSite when nothing matches.
    """
    if not segment_ids or not product_ids:
        return frozenset()
    is_effective, site = effective(at), on_site(tenant_id, site_code)
    segments = keys_of_segments(tenant_id, [named(segment_ids), is_effective, site])
    statement = products_held(tenant_id, segments, product_ids=product_ids, at=at)
    found = fetch_rows(statement, keeps_plan=True)
    if not found:
        require_site(tenant_id, site_code)
    return frozenset(external_id for (external_id,) in found)


def categories_of_segments(*, caller: Caller, segment_ids: Sequence[str], at: datetime) -> Sql:
    """A SELECT of the keys of the categories that are assigned to one of the segments (by their wire ids).

    A customer may name only segments that count for them; others are ignored, as are those that are not
    effective unless the caller may read all segments.
    """
    tenant_id = caller.tenant.id
    conditions = [named(segment_ids)]
    if caller.kind is CallerKind.CUSTOMER:
        shopper = shopper_of(caller)
        member = segments_of_member(
            tenant_id, customer=shopper.customer_key, legal_entity=shopper.acting_legal_entity, at=at
        )
        conditions.append(Sql(f"segment.id IN ({member.text})", member.values))
    elif SEGMENT_READ not in caller.scopes:
        conditions.append(effective(at))
    return categories_held(tenant_id, keys_of_segments(tenant_id, conditions), at=at)
