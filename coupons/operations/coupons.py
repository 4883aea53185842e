"""Writes of single coupons. Locks are taken in the order of docs/locking.md: categories, segments, coupon."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from core.sql.composition import sql
from core.sql.fetching import fetch_rows
from core.sql.integrity import translate_integrity_errors
from core.tenancy.documents import check_version
from coupons.codes import check_code, generate_code, has_code, normalise_code
from coupons.errors import CodeTaken, CouponNotFound, InvalidTerms, Problem
from coupons.models import Coupon, CouponSettings
from coupons.money import Money
from coupons.operations.restrictions import Kept, look_up, unknown_references, write_restrictions
from coupons.terms import CouponTerms, columns_of, problems_of


@dataclass(frozen=True, slots=True)
class Revision:
    """The terms that a coupon shall have, and the version that the caller changed (None: whichever)."""

    terms: CouponTerms
    expected_version: int | None = None


def settings_of(tenant_id: int) -> CouponSettings:
    """Return the tenant's coupon settings, the defaults where it has none stored."""
    return CouponSettings.objects.filter(tenant=tenant_id).first() or CouponSettings(tenant_id=tenant_id)


@transaction.atomic
def create_coupon(
    *, tenant_id: int, code: str, terms: CouponTerms, at: datetime, is_referral: bool = False
) -> Coupon:
    """Create a coupon; without a code (an empty text) it gets a generated one.

    Raises InvalidCode, InvalidTerms with everything that is wrong, and CodeTaken when the code belongs to
    another coupon, even a deleted one.
    """
    known = look_up(tenant_id, [terms])
    refuse_problems([*problems_of(terms), *unknown_references(terms, known)])
    if code.strip():
        case_sensitive = settings_of(tenant_id).codes_are_case_sensitive
        code = check_code(normalise_code(code, case_sensitive=case_sensitive))
    else:
        code = generate_code()
    coupon = Coupon(
        tenant_id=tenant_id,
        code=code,
        is_referral=is_referral,
        created_at=at,
        modified_at=at,
        **columns_of(terms),
    )
    with translate_integrity_errors({"coupon_code_unique": CodeTaken(code)}):
        coupon.save(force_insert=True)
    if terms.is_segment_restricted or terms.is_category_restricted:
        write_restrictions(tenant_id, {coupon.pk: terms}, known)
    return coupon


@transaction.atomic
def revise_coupon(
    *, tenant_id: int, code: str, revise: Callable[[Coupon, CouponTerms], Revision], at: datetime
) -> Coupon:
    """Give a coupon the terms that `revise` makes of the stored ones; its code and its use stay.

    `revise` is called twice: on what is read first, to lock the segments and categories that it names, and
    on the locked coupon. A restriction to a segment or category that was deleted meanwhile may stay. Raises
    CouponNotFound, VersionConflict, InvalidTerms and whatever `revise` raises.
    """
    coupon = find_coupon(tenant_id, code)
    preview = revise(coupon, stored_terms(coupon))
    known = look_up(tenant_id, [preview.terms])
    coupon = lock_coupon(coupon.pk, code)
    stored = stored_terms(coupon)
    revision = revise(coupon, stored)
    check_version(coupon, revision.expected_version)
    terms = revision.terms
    kept = Kept(
        segments=frozenset(stored.segments),
        categories=frozenset({*stored.included_categories, *stored.excluded_categories}),
    )
    refuse_problems([*problems_of(terms), *unknown_references(terms, known, kept)])
    for column, value in columns_of(terms).items():
        setattr(coupon, column, value)
    coupon.version += 1
    coupon.modified_at = at
    coupon.save(update_fields=[*columns_of(terms), "version", "modified_at"])
    write_restrictions(tenant_id, {coupon.pk: terms}, known)
    return coupon


def replace_coupon(
    *, tenant_id: int, code: str, terms: CouponTerms, at: datetime, expected_version: int | None = None
) -> Coupon:
    """Give a coupon new terms altogether; raises as `revise_coupon` does."""
    return revise_coupon(
        tenant_id=tenant_id,
        code=code,
        revise=lambda coupon, stored: Revision(terms, expected_version),
        at=at,
    )


@transaction.atomic
def delete_coupon(*, tenant_id: int, code: str, at: datetime) -> None:
    """Mark a coupon as deleted: nobody can use it any more, its code stays taken, its redemptions stay.

    Raises CouponNotFound for an unknown code and for a coupon that is deleted already.
    """
    coupon = lock_coupon(find_coupon(tenant_id, code).pk, code)
    coupon.is_deleted = True
    coupon.version += 1
    coupon.modified_at = at
    coupon.save(update_fields=["is_deleted", "version", "modified_at"])


def find_coupon(tenant_id: int, code: str) -> Coupon:
    """Return the tenant's coupon of this code; raise CouponNotFound when it is unknown or deleted."""
    found = fetch_rows(
        sql("SELECT id FROM coupons_coupon AS coupon WHERE {condition}", condition=has_code(tenant_id, code))
    )
    coupon = Coupon.objects.live().filter(pk__in=[key for (key,) in found]).first()
    if coupon is None:
        raise CouponNotFound(code)
    return coupon


def lock_coupon(key: int, code: str) -> Coupon:
    """Return the coupon locked until commit; raise CouponNotFound when it was deleted meanwhile."""
    coupon = Coupon.objects.select_for_update(of=("self",)).live().filter(pk=key).first()
    if coupon is None:
        raise CouponNotFound(code)
    return coupon


def locked_version(*, tenant_id: int, code: str) -> int:
    """Lock the coupon until commit and return its version; raise CouponNotFound."""
    return lock_coupon(find_coupon(tenant_id, code).pk, code).version


def stored_terms(coupon: Coupon) -> CouponTerms:
    """Return a stored coupon's terms, its restrictions to deleted segments and categories among them."""
    categories = list(coupon.category_restrictions.values_list("category_external_id", "is_excluded"))
    return CouponTerms(
        name=coupon.name,
        description=coupon.description,
        discount_type=coupon.discount_type,
        discount_percentage=coupon.discount_percentage,
        discount_absolute=money_of(coupon.discount_amount, coupon.discount_currency),
        discount_calculation_type=coupon.discount_calculation_type,
        allows_anonymous=coupon.allows_anonymous,
        max_redemptions=coupon.max_redemptions,
        max_redemptions_per_customer=coupon.max_redemptions_per_customer,
        is_category_restricted=coupon.is_category_restricted,
        is_segment_restricted=coupon.is_segment_restricted,
        valid_for=tuple(coupon.valid_for),
        valid_from=coupon.valid_from,
        valid_to=coupon.valid_to,
        min_order_value=money_of(coupon.min_order_amount, coupon.min_order_currency),
        segments=tuple(coupon.segment_restrictions.values_list("segment_external_id", flat=True)),
        included_categories=tuple(category for category, is_excluded in categories if not is_excluded),
        excluded_categories=tuple(category for category, is_excluded in categories if is_excluded),
        issued_to=coupon.issued_to,
        mixins=coupon.mixins,
        mixin_schemas=coupon.mixin_schemas,
    )


def money_of(amount: Decimal | None, currency: str | None) -> Money | None:
    return None if amount is None or currency is None else Money(amount, currency)


def refuse_problems(problems: list[Problem]) -> None:
    if problems:
        raise InvalidTerms(problems)
