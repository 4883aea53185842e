from coupons.operations.bulk import CouponRow, upsert_coupons

__all__ = ["CouponRow", "upsert_coupons"]
