"""Writes of single coupons. Locks are taken in the order of docs/locking.md: categories, segments, coupon."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from django.db import transaction

from core.errors import Problem
from core.sql.composition import sql
from core.sql.fetching import fetch_rows
from core.sql.integrity import translate_integrity_errors
from core.tenancy.documents import check_version
from coupons.bodies import CouponBody, columns_of, stored_body
from coupons.codes import check_code, generate_code
from coupons.eligibility_queries import has_code, normalise_code
from coupons.errors import CodeTaken, CouponNotFound, InvalidTerms, TermsOfCampaign
from coupons.models import Coupon, CouponSettings
from coupons.operations.restrictions import Kept, look_up, unknown_references, write_restrictions
from coupons.rules import problems_of


def settings_of(tenant_id: int) -> CouponSettings:
    """Return the tenant's coupon settings, the defaults where it has none stored."""
    return CouponSettings.objects.filter(tenant=tenant_id).first() or CouponSettings(tenant_id=tenant_id)


def accept_any(version: int) -> None:
    """The check of a writer who names no version."""


@transaction.atomic
def create_coupon(*, tenant_id: int, body: CouponBody, at: datetime, is_referral: bool = False) -> Coupon:
    """Create a coupon; without a code it gets a generated one.

    Raises InvalidCode, InvalidTerms with everything that is wrong, and CodeTaken when the code belongs to
    another coupon, even a deleted one.
    """
    known = look_up(tenant_id, [body])
    refuse_problems([*problems_of(body), *unknown_references(body, known)])
    case_sensitive = settings_of(tenant_id).codes_are_case_sensitive
    code = normalise_code(body.code, case_sensitive=case_sensitive) or generate_code()
    check_code(code)
    coupon = Coupon(
        tenant_id=tenant_id,
        code=code,
        is_referral=is_referral,
        created_at=at,
        modified_at=at,
        **columns_of(body),
    )
    with translate_integrity_errors({"coupon_code_unique": CodeTaken(code)}):
        coupon.save(force_insert=True)
    if body.is_segment_restricted or body.is_category_restricted:
        write_restrictions(tenant_id, {coupon.pk: body}, known)
    return coupon


@transaction.atomic
def revise_coupon(
    *,
    tenant_id: int,
    code: str,
    revise: Callable[[CouponBody], CouponBody],
    at: datetime,
    check: Callable[[int], None] = accept_any,
) -> Coupon:
    """Replace a coupon by what `revise` makes of the stored one; its code and its use stay.

    `revise` is called twice: on what is read first, to lock the segments and categories that it names, and
    on the locked coupon, whose version is handed to `check` before. A restriction to a segment or category
    that was deleted meanwhile may stay. Raises CouponNotFound, TermsOfCampaign, VersionConflict, InvalidTerms
    and whatever `revise` and `check` raise.
    """
    coupon = find_coupon(tenant_id, code)
    if coupon.terms_id is not None:
        raise TermsOfCampaign(coupon.code)
    known = look_up(tenant_id, [revise(stored_body(coupon))])
    coupon = lock_coupon(coupon.pk, code)
    check(coupon.version)
    stored = stored_body(coupon)
    body = revise(stored)
    check_version(coupon, body.expected_version)
    named = stored.restrictions
    kept = Kept(
        segments=frozenset(named.segments),
        categories=frozenset({*named.included_categories, *named.excluded_categories}),
    )
    refuse_problems([*problems_of(body), *unknown_references(body, known, kept)])
    columns = columns_of(body)
    for column, value in columns.items():
        setattr(coupon, column, value)
    coupon.version += 1
    coupon.modified_at = at
    coupon.save(update_fields=[*columns, "version", "modified_at"])
    write_restrictions(tenant_id, {coupon.pk: body}, known)
    return coupon


def replace_coupon(
    *, tenant_id: int, code: str, body: CouponBody, at: datetime, check: Callable[[int], None] = accept_any
) -> Coupon:
    """Replace everything about a coupon but its code and its use; raises as `revise_coupon` does.

    A body that does not say whether the coupon is listed keeps what is stored.
    """

    def revise(stored: CouponBody) -> CouponBody:
        is_listed = stored.is_listed if body.is_listed is None else body.is_listed
        return msgspec.structs.replace(body, is_listed=is_listed)

    return revise_coupon(tenant_id=tenant_id, code=code, revise=revise, at=at, check=check)


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


def refuse_problems(problems: list[Problem]) -> None:
    if problems:
        raise InvalidTerms(problems)
