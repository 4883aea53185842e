"""Referral coupons: one for each customer, whose code they hand on."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Customer
from core.errors import NotFound
from core.tenancy.models import Tenant
from coupons.codes import generate_code
from coupons.models import Coupon, DiscountType
from coupons.money import Money
from coupons.operations.coupons import create_coupon, settings_of
from coupons.terms import CouponTerms


def referral_coupons(*, tenant_id: int, customer_number: str) -> QuerySet[Coupon]:
    """Return the customer's referral coupon as a queryset of at most one row."""
    return Coupon.objects.live().filter(tenant=tenant_id, issued_to=customer_number, is_referral=True)


@transaction.atomic
def create_referral_coupon(*, tenant_id: int, customer_number: str, at: datetime) -> Coupon:
    """Return the customer's referral coupon, which is made when there is none.

    Locks the customer, so that two requests at once make one coupon. Prefix, amount and currency are the
    tenant's coupon settings. Raises NotFound for an unknown customer.
    """
    customer = (
        Customer.objects.select_for_update(of=("self",))
        .filter(tenant=tenant_id, external_id=customer_number)
        .first()
    )
    if customer is None:
        raise NotFound(f"There is no customer {customer_number}.")
    existing = referral_coupons(tenant_id=tenant_id, customer_number=customer_number).first()
    if existing is not None:
        return existing
    settings = settings_of(tenant_id)
    currency = settings.referral_currency or Tenant.objects.values_list("currency", flat=True).get(
        pk=tenant_id
    )
    return create_coupon(
        tenant_id=tenant_id,
        code=generate_code(settings.referral_prefix),
        terms=CouponTerms(
            name="Referral coupon",  # whoever is given the code reads this: it does not name the customer
            discount_type=DiscountType.ABSOLUTE.value,
            discount_absolute=Money(settings.referral_amount, currency),
            allows_anonymous=True,
            issued_to=customer_number,
        ),
        at=at,
        is_referral=True,
    )
