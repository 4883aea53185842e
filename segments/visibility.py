"""Who sees what: the one place that knows which segments count for whom, and which items they hold.

A segment counts for a shopper when it is effective at the instant asked for, and when the shopper belongs to
it at that instant: by a B2C assignment, or by a B2B assignment for the legal entity that they act for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.callers import Caller, CallerKind
from accounts.scopes import SEGMENT_READ
from core.api.sql import Sql, fetch_rows
from core.windows import open_at
from segments.errors import UnknownSite
from segments.holdings import categories_held, products_held
from segments.viewers import Shopper, Viewer, checked_viewer, shopper_of


@dataclass(frozen=True, slots=True)
class Sight:
    """What a shopper's request resolves to: who looks, and the keys of the segments that count, ascending.

    What these segments show stays the same while the tenant's `revision` does and until `changes_at`, when
    the next window of an assignment or a category opens or has closed (None: there is no such window).
    """

    viewer: Viewer
    segment_ids: tuple[int, ...] = ()
    revision: int = 0
    changes_at: datetime | None = None


ANY_SEGMENT = Sql("TRUE")
BOUNDARIES = [
    f"(SELECT {column} FROM {table} WHERE tenant_id = %s AND {column} {from_} %s ORDER BY {column} LIMIT 1)"
    for table in ("segments_itemassignment", "catalog_category")
    for column, from_ in (("valid_from", ">"), ("valid_to", ">="))
]
NEXT_BOUNDARY = f"least({', '.join(BOUNDARIES)})"


def effective(at: datetime, alias: str = "segment") -> Sql:
    """The condition that a segment is effective: ACTIVE, with `at` in its window."""
    window = open_at(at, alias)
    return Sql(f"{alias}.status = 'ACTIVE' AND {window.text}", window.values)


def on_site(tenant_id: int, site_code: str | None, alias: str = "segment") -> Sql:
    """The condition that a segment belongs to the site; always true when none is named."""
    if not site_code:
        return ANY_SEGMENT
    return Sql(
        f"{alias}.site_id = (SELECT id FROM accounts_site WHERE tenant_id = %s AND code = %s)",
        (tenant_id, site_code),
    )


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
    found = Sql("SELECT 1 FROM accounts_site WHERE tenant_id = %s AND code = %s", (tenant_id, site_code))
    if not fetch_rows(found):
        raise UnknownSite(site_code)


def segments_of_member(
    tenant_id: int, *, customer: Sql, legal_entity: Sql, at: datetime, narrowed_by: Sql = ANY_SEGMENT
) -> Sql:
    """A SELECT of the keys of the segments that count; customer and entity are given as expressions.

    `narrowed_by` is a condition on `segment`. Each segment of the customer is looked up by its key, so that
    it costs the same however many segments there are.
    """
    joined, is_effective = open_at(at, "membership"), effective(at)
    return Sql(
        "SELECT DISTINCT segment.id FROM segments_customerassignment AS membership CROSS JOIN LATERAL ("
        "SELECT segment.id FROM segments_segment AS segment"
        " WHERE segment.tenant_id = membership.tenant_id AND segment.id = membership.segment_id"
        f" AND {is_effective.text} AND {narrowed_by.text} LIMIT 1) AS segment"
        f" WHERE membership.tenant_id = %s AND membership.customer_id = {customer.text}"
        f" AND (membership.legal_entity_id IS NULL OR membership.legal_entity_id = {legal_entity.text})"
        f" AND {joined.text}",
        (
            *is_effective.values,
            *narrowed_by.values,
            tenant_id,
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
    customer, acting = Sql("NULL::bigint"), Sql("NULL::bigint")
    if shopper.is_known:
        customer, acting = shopper.customer_key, shopper.acting_legal_entity
    narrowed_by = on_site(shopper.tenant_id, site_code)
    if segment_id is not None:
        narrowed_by = Sql.joined(" AND ", [named([segment_id]), narrowed_by])
    member = segments_of_member(
        shopper.tenant_id,
        customer=Sql("shopper.customer_id"),
        legal_entity=Sql("shopper.legal_entity_id"),
        at=at,
        narrowed_by=narrowed_by,
    )
    site_exists = Sql("TRUE")
    if site_code:
        site_exists = Sql(
            "EXISTS (SELECT FROM accounts_site WHERE tenant_id = %s AND code = %s)",
            (shopper.tenant_id, site_code),
        )
    boundary = next_boundary(shopper.tenant_id, at)
    [(customer_id, legal_entity_id, keys, has_site, revision, changes_at)] = fetch_rows(
        Sql(
            f"WITH shopper AS MATERIALIZED"
            f" (SELECT {customer.text} AS customer_id, {acting.text} AS legal_entity_id)"
            f" SELECT customer_id, legal_entity_id, ARRAY({member.text} ORDER BY 1), {site_exists.text},"
            " (SELECT coalesce(sum(count), 0)::bigint FROM segments_assortmentrevision WHERE tenant_id = %s),"
            f" {boundary.text} FROM shopper",
            (
                *customer.values,
                *acting.values,
                *member.values,
                *site_exists.values,
                shopper.tenant_id,
                *boundary.values,
            ),
        ),
        keeps_plan=True,
    )
    if not has_site:
        raise UnknownSite(site_code or "")
    viewer = checked_viewer(shopper, customer_id, legal_entity_id)
    return Sight(viewer, tuple(keys), revision, changes_at)


def next_boundary(tenant_id: int, at: datetime) -> Sql:
    """The next instant from `at` at which a window of an item assignment or a category opens or closes.

    An expression: one look into an index for each kind of boundary.
    """
    return Sql(NEXT_BOUNDARY, (tenant_id, at) * len(BOUNDARIES))


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
