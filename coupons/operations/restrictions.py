"""The segments and categories of coupons: naming what exists, and writing the rows that restrict."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from catalog.models import HIDDEN_ROOT_ID
from core.errors import Problem
from core.sql.composition import Sql, identifier, identifiers, param, sql
from core.sql.fetching import execute, fetch_rows
from coupons.bodies import CouponBody


@dataclass(frozen=True, slots=True)
class Known:
    """The keys of the segments and categories that exist, by their wire ids."""

    segments: Mapping[str, int]
    categories: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a coupon is restricted to already: it may stay, even where it was deleted meanwhile."""

    segments: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


def look_up(tenant_id: int, bodies: Iterable[CouponBody]) -> Known:
    """Return which of the named segments and categories exist, in at most one statement for each kind.

    Locks them until commit, categories first, so that none is deleted before it is referred to. Call it
    before the coupons are locked: that is the order of locks everywhere.
    """
    segments: set[str] = set()
    categories: set[str] = set()
    for named in (body.restrictions for body in bodies):
        segments.update(named.segments)
        categories.update(named.included_categories, named.excluded_categories)
    categories.discard(HIDDEN_ROOT_ID)
    keys_of_categories = lock_keys("catalog_category", tenant_id, categories)
    return Known(segments=lock_keys("segments_segment", tenant_id, segments), categories=keys_of_categories)


def lock_keys(table: str, tenant_id: int, external_ids: Collection[str]) -> dict[str, int]:
    """Return the keys of tenant documents by wire id; until commit nobody can delete them."""
    if not external_ids:
        return {}
    return dict(
        fetch_rows(
            sql(
                "SELECT external_id, id FROM {table} WHERE tenant_id = {tenant} AND external_id = ANY({ids})"
                " ORDER BY id FOR KEY SHARE",
                table=identifier(table),
                tenant=param(tenant_id),
                ids=param(list(external_ids), "text[]"),
            )
        )
    )


def unknown_references(body: CouponBody, known: Known, kept: Kept | None = None) -> list[Problem]:
    """Return a problem for each list that names what does not exist."""
    kept = kept or Kept()
    named = body.restrictions
    segments, categories = {*known.segments, *kept.segments}, {*known.categories, *kept.categories}
    lists = (
        ("segments", named.segments, "segment", segments),
        ("includedCategories", named.included_categories, "category", categories),
        ("excludedCategories", named.excluded_categories, "category", categories),
    )
    return [
        Problem(f"restrictions.{name}", "unknown_reference", f"There is no {noun} {missing}.")
        for name, ids, noun, existing in lists
        for missing in ids
        if missing not in existing
    ]


def write_restrictions(tenant_id: int, bodies: Mapping[int, CouponBody], known: Known) -> None:
    """Make the stored restrictions of these coupons (by key) those of their bodies, in the order named.

    Takes four statements for any number of coupons. The caller holds the coupons' locks.
    """
    segments = [
        (coupon, segment, known.segments.get(segment))
        for coupon, body in bodies.items()
        for segment in dict.fromkeys(body.restrictions.segments)
    ]
    categories = [
        (coupon, category, known.categories.get(category), is_excluded)
        for coupon, body in bodies.items()
        for is_excluded, named in (
            (False, body.restrictions.included_categories),
            (True, body.restrictions.excluded_categories),
        )
        for category in dict.fromkeys(named)
    ]
    columns = {"coupon_id": "bigint", "segment_external_id": "text", "segment_id": "bigint"}
    replace_rows("coupons_couponsegment", tenant_id, bodies, columns, segments)
    columns = {
        "coupon_id": "bigint",
        "category_external_id": "text",
        "category_id": "bigint",
        "is_excluded": "boolean",
    }
    replace_rows("coupons_couponcategory", tenant_id, bodies, columns, categories)


def replace_rows(
    table: str,
    tenant_id: int,
    coupon_ids: Collection[int],
    columns: Mapping[str, str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Replace all rows that the coupons have in the table."""
    execute(
        sql(
            "DELETE FROM {table} WHERE coupon_id = ANY({coupons})",
            table=identifier(table),
            coupons=param(list(coupon_ids), "bigint[]"),
        )
    )
    if not rows:
        return
    arrays = [
        param([row[index] for row in rows], f"{type_name}[]")
        for index, type_name in enumerate(columns.values())
    ]
    execute(
        sql(
            "INSERT INTO {table} (tenant_id, {columns}) SELECT {tenant}, {columns}"
            " FROM unnest({arrays}) WITH ORDINALITY AS given ({columns}, place) ORDER BY place",
            table=identifier(table),
            columns=identifiers(columns),
            tenant=param(tenant_id),
            arrays=Sql.joined(", ", arrays),
        )
    )
