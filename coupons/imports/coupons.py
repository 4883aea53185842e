"""Files of coupons. A row is a body of the API; redemptions stay as they are."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from core.bodies import read_body
from core.errors import InvalidInput
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.exporting import stored_bodies
from core.imports.resources import Export, ImportResource, document_of_files
from core.imports.shadows import Rows
from core.imports.writers import Removal, UpsertWriter, one_by_one
from core.sql.upserts import RowResult
from core.tenancy.callers import TenantRecord
from coupons.bodies import CouponBody, columns_of
from coupons.eligibility_queries import normalise_code
from coupons.errors import CouponNotFound
from coupons.models import Coupon, CouponCategory, CouponSegment
from coupons.operations.bulk import lock_by_code, upsert_coupons
from coupons.operations.coupons import delete_coupon, settings_of
from coupons.representations import COUPONS


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


NOT_EXPORTED = {
    "status",
    "diagnostics",
    "referralCoupon",
    "redemptionCount",
    "legalEntityRedemptions",
    "deleted",
    "metadata",
}

COLUMNS = (
    Column("code", is_required=True, is_id=True),
    Column("name", is_required=True),
    Column("description"),
    Column("discountType", note="PERCENT, ABSOLUTE (the default) or FREE_SHIPPING"),
    Column("discountPercentage", ColumnType.NUMBER),
    Column("discountAbsolute.amount", ColumnType.NUMBER),
    Column("discountAbsolute.currency"),
    Column("discountCalculationType", note="SUBTOTAL (the default) or TOTAL"),
    Column("allowAnonymous", ColumnType.FLAG),
    Column("maxRedemptions", ColumnType.WHOLE, note="-1 or nothing: unlimited"),
    Column("maxRedemptionsPerCustomer", ColumnType.WHOLE, note="-1 or nothing: unlimited"),
    Column("categoryRestricted", ColumnType.FLAG),
    Column("segmentRestricted", ColumnType.FLAG),
    Column("restrictions.validFrom", ColumnType.TIME),
    Column("restrictions.validUntil", ColumnType.TIME),
    Column("restrictions.validFor", ColumnType.LIST, note="customer numbers"),
    Column("restrictions.segments", ColumnType.LIST),
    Column("restrictions.includedCategories", ColumnType.LIST),
    Column("restrictions.excludedCategories", ColumnType.LIST),
    Column("restrictions.minOrderValue.amount", ColumnType.NUMBER),
    Column("restrictions.minOrderValue.currency"),
    Column("issuedTo", is_id=True, note="a customer number"),
    Column("listed", ColumnType.FLAG, note="nothing: if validFor names customers"),
    Column("mixins", ColumnType.JSON),
    Column("metadata.mixins", ColumnType.JSON),
    EXPECTED_VERSION,
)

EXPORT = Export(
    document_of_files(COUPONS, [name for name in COUPONS.fields if name not in NOT_EXPORTED]),
    order="coupon.id",
    condition="NOT coupon.is_deleted AND NOT coupon.is_referral AND coupon.terms_id IS NULL",
    key=("code",),
)


def read_row(body: Mapping[str, object], tenant: TenantRecord) -> CouponBody:
    coupon = read_body(CouponBody, body)
    if not code_of(coupon):
        raise InvalidInput("code is missing.", field="code")
    return coupon


def code_of(row: CouponBody) -> str:
    """Return what distinguishes coupons in a batch; codes that differ only by case may be one coupon."""
    return normalise_code(row.code, case_sensitive=True)


def existing_codes(tenant: TenantRecord, codes: Sequence[str]) -> set[str]:
    case_sensitive = settings_of(tenant.id).codes_are_case_sensitive
    stored = {normalise_code(code, case_sensitive=case_sensitive): code for code in codes}
    coupons = Coupon.objects.filter(tenant=tenant.id, code__in=list(stored))
    return {stored[code] for code in coupons.values_list("code", flat=True)}


def stored_coupons(tenant: TenantRecord, codes: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return the bodies of the coupons by their codes as they are given, whatever their case."""
    case_sensitive = settings_of(tenant.id).codes_are_case_sensitive
    stored = {code: normalise_code(code, case_sensitive=case_sensitive) for code in codes}
    found = stored_bodies(EXPORT, tenant, sorted(set(stored.values())), id_column="code")
    return {code: found[name] for code, name in stored.items() if name in found}


def hold_coupons(tenant: TenantRecord, codes: Sequence[str]) -> None:
    case_sensitive = settings_of(tenant.id).codes_are_case_sensitive
    lock_by_code(tenant.id, [normalise_code(code, case_sensitive=case_sensitive) for code in codes])


def write_coupons(
    tenant: TenantRecord, rows: Sequence[CouponBody], at: datetime, confirm: Callable[[], None]
) -> list[RowResult]:
    return upsert_coupons(tenant_id=tenant.id, rows=rows, at=at, confirm=confirm)


def remove_coupon(tenant: TenantRecord, code: str, at: datetime) -> None:
    """Mark the coupon as deleted; its code stays taken, its redemptions stay."""
    delete_coupon(tenant_id=tenant.id, code=code, at=at)


COUPON_FILES = ImportResource(
    name="coupons",
    noun="coupons",
    columns=COLUMNS,
    writer=UpsertWriter(
        read=read_row,
        identify=code_of,
        id="code",
        columns=COLUMNS,
        stored=stored_coupons,
        hold=hold_coupons,
        changed=lambda tenant, rows, stored: changed_coupons(tenant_id=tenant.id, rows=rows),
        existing=existing_codes,
        upsert=write_coupons,
        tables={
            "catalog_category": Rows.OF_TENANT,
            "segments_segment": Rows.OF_TENANT,
            "coupons_coupon": Rows.OF_TENANT,
            "coupons_couponsegment": Rows.OF_TENANT,
            "coupons_couponcategory": Rows.OF_TENANT,
        },
        remove=Removal(
            one_by_one(remove_coupon, gone=CouponNotFound),
            tables={"coupons_coupon": Rows.OF_TENANT},
            id="code",
        ),
    ),
    export=EXPORT,
    batch_size=2_000,
)
