"""The status of a coupon at an instant, and what keeps everybody from redeeming it, as SQL and for people."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from core.windows import open_at
from segments.visibility import effective

DIAGNOSTICS = {
    "no_redemptions": "maxRedemptions is 0: nobody can redeem it.",
    "no_redemptions_per_customer": "maxRedemptionsPerCustomer is 0: nobody can redeem it.",
    "segments_deleted": "All its segments have been deleted: nobody can redeem it.",
    "segments_over": "Its segments are inactive, over or deleted: nobody can redeem it.",
    "segments_not_started": "None of its segments has started yet: nobody can redeem it before one does.",
    "segments_empty": "None of its effective segments has a member: nobody can redeem it.",
    "categories_deleted": "All categories that it is for have been deleted: nobody can redeem it for items.",
}
"""What a diagnostic says, by its type."""

JOIN_TERMS = "JOIN coupons_coupon AS terms ON terms.id = coalesce(coupon.terms_id, coupon.id)"
"""Where the terms of the row `coupon` are: in itself, or in the row that a campaign's codes share."""


def status(at: Sql) -> Sql:
    """An expression: the status of the row `coupon` with its `terms` at that instant, as clients read it."""
    return sql(
        "(CASE WHEN terms.valid_from > {at} THEN 'INACTIVE' WHEN terms.valid_to < {at} THEN 'EXPIRED'"
        " WHEN coupon.redemption_count >= terms.max_redemptions THEN 'USED' ELSE 'VALID' END)",
        at=at,
    )


def diagnostics(at: Sql) -> Sql:
    """An expression of type text[]: the types of the diagnostics of the row `terms` at that instant."""
    return sql(
        "array_remove(ARRAY["
        "CASE WHEN terms.max_redemptions = 0 THEN 'no_redemptions' END,"
        " CASE WHEN terms.max_redemptions_per_customer = 0 THEN 'no_redemptions_per_customer' END,"
        " CASE WHEN terms.is_segment_restricted THEN {segments} END,"
        " CASE WHEN terms.is_category_restricted THEN {categories} END], NULL)",
        segments=segments_diagnostic(at),
        categories=Sql(
            "(SELECT CASE WHEN count(*) > 0 AND count(restriction.category_id) = 0 THEN 'categories_deleted'"
            " END FROM coupons_couponcategory AS restriction"
            " WHERE restriction.coupon_id = terms.id AND NOT restriction.is_excluded)"
        ),
    )


def segments_diagnostic(at: Sql) -> Sql:
    """An expression of type text: why nobody can redeem the row `terms` through its segments, or NULL."""
    return sql(
        "(SELECT CASE WHEN count(segment.id) = 0 THEN 'segments_deleted'"
        " WHEN NOT bool_or(segment.status = 'ACTIVE'"
        " AND (segment.valid_to IS NULL OR segment.valid_to >= {at}))"
        " THEN 'segments_over'"
        " WHEN NOT bool_or({is_effective}) THEN 'segments_not_started'"
        " WHEN NOT bool_or({is_effective} AND EXISTS (SELECT FROM segments_customerassignment AS membership"
        " WHERE membership.tenant_id = segment.tenant_id AND membership.segment_id = segment.id"
        " AND {is_member})) THEN 'segments_empty' END"
        " FROM coupons_couponsegment AS restriction"
        " LEFT JOIN segments_segment AS segment"
        " ON segment.tenant_id = restriction.tenant_id AND segment.id = restriction.segment_id"
        " WHERE restriction.coupon_id = terms.id)",
        at=at,
        is_effective=effective(at),
        is_member=open_at(at, "membership"),
    )


@dataclass(frozen=True, slots=True)
class CouponState:
    """The status of a coupon and the types of its diagnostics."""

    status: str
    diagnostics: tuple[str, ...]

    @property
    def messages(self) -> list[str]:
        return [DIAGNOSTICS[kind] for kind in self.diagnostics]


def states_of(keys: Collection[int], *, at: datetime) -> dict[int, CouponState]:
    """Return the state of each coupon by its key, in one statement."""
    instant = param(at, "timestamptz")
    rows = fetch_rows(
        sql(
            "SELECT coupon.id, {status}, {diagnostics} FROM coupons_coupon AS coupon {terms}"
            " WHERE coupon.id = ANY({keys})",
            status=status(instant),
            diagnostics=diagnostics(instant),
            terms=Sql(JOIN_TERMS),
            keys=param(list(keys), "bigint[]"),
        )
    )
    return {key: CouponState(word, tuple(kinds)) for key, word, kinds in rows}


def keys_with_diagnostics(at: datetime) -> Sql:
    """A SELECT of the keys of all coupons that nobody can redeem at that instant."""
    return sql(
        "SELECT coupon.id FROM coupons_coupon AS coupon {terms}"
        " WHERE NOT coupon.is_deleted AND {diagnostics} <> '{{}}'",
        diagnostics=diagnostics(param(at, "timestamptz")),
        terms=Sql(JOIN_TERMS),
    )
