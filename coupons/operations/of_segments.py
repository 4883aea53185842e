"""Coupons that name no segments but certain ones, which are about to be deleted."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows


def only_of(tenant_id: int, segments: Sequence[int]) -> Sql:
    """A SELECT of the keys of live coupons whose existing segments are all among these; no campaign's."""
    return sql(
        "SELECT coupon.id FROM coupons_coupon AS coupon WHERE coupon.tenant_id = {tenant}"
        " AND NOT coupon.is_deleted AND coupon.is_segment_restricted AND coupon.terms_id IS NULL"
        " AND coupon.id IN (SELECT restriction.coupon_id FROM coupons_couponsegment AS restriction"
        " WHERE restriction.tenant_id = {tenant} AND restriction.segment_id = ANY({segments}))"
        " AND NOT EXISTS (SELECT FROM coupons_couponsegment AS other WHERE other.coupon_id = coupon.id"
        " AND other.segment_id <> ALL({segments}))",
        tenant=param(tenant_id),
        segments=param(list(segments), "bigint[]"),
    )


def count_only_of(tenant_id: int, segments: Sequence[int]) -> int:
    """Return how many coupons name no segments but these."""
    [(number,)] = fetch_rows(
        sql("SELECT count(*) FROM ({chosen}) AS chosen", chosen=only_of(tenant_id, segments))
    )
    return int(number)


@transaction.atomic
def delete_coupons_only_of(tenant_id: int, segments: Sequence[int], at: datetime) -> int:
    """Mark the coupons that name no segments but these as deleted; return how many they were.

    The caller holds the segments; the coupons are locked in the order of their codes.
    """
    return execute(
        sql(
            "UPDATE coupons_coupon SET is_deleted = TRUE, version = version + 1, modified_at = {at}"
            " WHERE id IN (SELECT id FROM coupons_coupon WHERE id IN ({chosen}) ORDER BY code FOR UPDATE)"
            " AND NOT is_deleted",
            at=param(at),
            chosen=only_of(tenant_id, segments),
        )
    )
