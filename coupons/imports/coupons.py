"""Coupons as rows of an import."""

from collections.abc import Sequence

from coupons.bodies import CouponBody, columns_of
from coupons.codes import normalise_code
from coupons.models import Coupon, CouponCategory, CouponSegment
from coupons.operations.coupons import settings_of


def changed_coupons(*, tenant_id: int, rows: Sequence[CouponBody]) -> list[CouponBody]:
    """Return the rows that are new or differ from what is stored, in four statements.

    A row that expects a version, and one whose code belongs to a deleted coupon or a campaign, is left for
    the upsert to refuse.
    """
    case_sensitive = settings_of(tenant_id).codes_are_case_sensitive
    codes = [normalise_code(row.code, case_sensitive=case_sensitive) for row in rows]
    stored = {
        coupon.code: coupon
        for coupon in Coupon.objects.filter(tenant=tenant_id, code__in=codes, is_deleted=False).order_by()
    }
    keys = [coupon.pk for coupon in stored.values()]
    restricted: dict[tuple[int, str], set[str]] = {}
    for coupon_id, segment in CouponSegment.objects.filter(tenant=tenant_id, coupon__in=keys).values_list(
        "coupon_id", "segment_external_id"
    ):
        restricted.setdefault((coupon_id, "segments"), set()).add(segment)
    for coupon_id, category, is_excluded in CouponCategory.objects.filter(
        tenant=tenant_id, coupon__in=keys
    ).values_list("coupon_id", "category_external_id", "is_excluded"):
        name = "excluded_categories" if is_excluded else "included_categories"
        restricted.setdefault((coupon_id, name), set()).add(category)
    changed = []
    for code, row in zip(codes, rows, strict=True):
        coupon = stored.get(code)
        if (
            coupon is None
            or coupon.terms_id is not None
            or row.expected_version is not None
            or differs(row, coupon, restricted)
        ):
            changed.append(row)
    return changed


def differs(body: CouponBody, stored: Coupon, restricted: dict[tuple[int, str], set[str]]) -> bool:
    """Say whether writing the body would change the stored coupon."""
    return any(getattr(stored, name) != value for name, value in columns_of(body).items()) or any(
        set(getattr(body.restrictions, name)) != restricted.get((stored.pk, name), set())
        for name in ("segments", "included_categories", "excluded_categories")
    )
