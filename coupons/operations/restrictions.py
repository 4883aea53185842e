"""The segments and categories of coupons: naming what exists, and writing the rows that restrict."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from catalog.models.categories import HIDDEN_ROOT_ID
from core.api.sql import Sql, fetch_rows
from coupons.errors import Problem
from coupons.terms import CouponTerms


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


def look_up(tenant_id: int, several_terms: Iterable[CouponTerms]) -> Known:
    """Return which of the named segments and categories exist, in at most one statement for each kind.

    Holds them until commit, categories first, so that none is deleted before it is referred to. Call it
    before the coupons are locked: that is the order of locks everywhere.
    """
    segments: set[str] = set()
    categories: set[str] = set()
    for terms in several_terms:
        segments.update(terms.segments)
        categories.update(terms.included_categories, terms.excluded_categories)
    categories.discard(HIDDEN_ROOT_ID)
    keys_of_categories = hold("catalog_category", tenant_id, categories)
    return Known(segments=hold("segments_segment", tenant_id, segments), categories=keys_of_categories)


def hold(table: str, tenant_id: int, external_ids: Collection[str]) -> dict[str, int]:
    """Return the keys of tenant documents by wire id; until commit nobody can delete them."""
    if not external_ids:
        return {}
    return dict(
        fetch_rows(
            Sql(
                f"SELECT external_id, id FROM {table} WHERE tenant_id = %s AND external_id = ANY(%s::text[])"
                " ORDER BY id FOR KEY SHARE",
                (tenant_id, list(external_ids)),
            )
        )
    )


def unknown_references(terms: CouponTerms, known: Known, kept: Kept | None = None) -> list[Problem]:
    """Return a problem for each list that names what does not exist."""
    kept = kept or Kept()
    lists = (
        ("segments", "segment", {*known.segments, *kept.segments}),
        ("included_categories", "category", {*known.categories, *kept.categories}),
        ("excluded_categories", "category", {*known.categories, *kept.categories}),
    )
    problems = []
    for name, noun, existing in lists:
        for missing in [named for named in getattr(terms, name) if named not in existing]:
            problems.append(Problem(name, "unknown_reference", f"There is no {noun} {missing}."))
    return problems


def write_restrictions(tenant_id: int, terms_by_coupon: Mapping[int, CouponTerms], known: Known) -> None:
    """Make the stored restrictions of these coupons (by key) those of their terms.

    Takes the same few statements for any number of coupons. The caller holds the coupons' locks.
    """
    keys = list(terms_by_coupon)
    segments = [
        (key, segment, known.segments.get(segment))
        for key, terms in terms_by_coupon.items()
        for segment in dict.fromkeys(terms.segments)
    ]
    categories = [
        (key, category, known.categories.get(category), is_excluded)
        for key, terms in terms_by_coupon.items()
        for is_excluded, named in ((False, terms.included_categories), (True, terms.excluded_categories))
        for category in dict.fromkeys(named)
    ]
    replace_rows(
        "coupons_couponsegment",
        keys,
        columns={"coupon_id": "bigint", "segment_external_id": "text", "segment_id": "bigint"},
        key=("coupon_id", "segment_external_id"),
        rows=segments,
        tenant_id=tenant_id,
    )
    replace_rows(
        "coupons_couponcategory",
        keys,
        columns={
            "coupon_id": "bigint",
            "category_external_id": "text",
            "category_id": "bigint",
            "is_excluded": "boolean",
        },
        key=("coupon_id", "category_external_id"),
        rows=categories,
        tenant_id=tenant_id,
    )


def replace_rows(
    table: str,
    coupon_ids: Sequence[int],
    *,
    columns: Mapping[str, str],
    key: tuple[str, str],
    rows: Sequence[Sequence[object]],
    tenant_id: int,
) -> None:
    """Remove the coupons' rows that are not among the given ones, then add or update the given ones.

    The rest of a row (after its key) changes only when the given one differs.
    """
    names = list(columns)
    given = f"unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())}) AS given ({', '.join(names)})"
    arrays = [[row[index] for row in rows] for index in range(len(names))]
    matches = " AND ".join(f"given.{name} = stored.{name}" for name in key)
    rest = [name for name in names if name not in key]
    updates = ", ".join(f"{name} = excluded.{name}" for name in rest)
    stored_rest = ", ".join(f"stored.{name}" for name in rest)
    given_rest = ", ".join(f"excluded.{name}" for name in rest)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} AS stored WHERE coupon_id = ANY(%s::bigint[])"
            f" AND NOT EXISTS (SELECT FROM {given} WHERE {matches})",
            [coupon_ids, *arrays],
        )
        if rows:
            cursor.execute(
                f"INSERT INTO {table} AS stored (tenant_id, {', '.join(names)})"
                f" SELECT %s, {', '.join(names)} FROM {given} ORDER BY {', '.join(key)}"
                f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}"
                f" WHERE ({stored_rest}) IS DISTINCT FROM ({given_rest})",
                [tenant_id, *arrays],
            )
