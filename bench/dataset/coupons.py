"""Coupons for the members of segments."""

from bench.dataset.people import SHOP
from bench.dataset.rows import insert_rows
from bench.scales import Scale
from coupons.models import Coupon, CouponSegment


def write_coupons(scale: Scale) -> None:
    """Write unlimited ten per cent coupons, each for the members of one effective segment."""
    values = {"coupons": scale.coupons, "effective": scale.effective_segments}
    insert_rows(
        Coupon,
        {
            "id": "n",
            "tenant_id": str(SHOP),
            "code": "'BENCH-' || lpad(n::text, 7, '0')",
            "name": "'Ten per cent for members, number ' || n",
            "discount_type": "'PERCENT'",
            "discount_percentage": "10",
            "is_segment_restricted": "TRUE",
        },
        "FROM generate_series(1, %(coupons)s) AS n",
        values,
    )
    insert_rows(
        CouponSegment,
        {
            "tenant_id": str(SHOP),
            "coupon_id": "n",
            "segment_id": "1 + mod(n, %(effective)s)",
            "segment_external_id": "'s' || lpad((1 + mod(n, %(effective)s))::text, 6, '0')",
        },
        "FROM generate_series(1, %(coupons)s) AS n",
        values,
    )
