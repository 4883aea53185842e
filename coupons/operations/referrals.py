"""Referral coupons: one for each customer, whose code they pass on."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Customer
from core.errors import NotFound
from core.tenancy.models import Tenant
from coupons.bodies import CouponBody
from coupons.codes import generate_code
from coupons.models import Coupon
from coupons.money import Amount, Money
from coupons.operations.coupons import create_coupon, settings_of


def referral_coupons(*, tenant_id: int, customer_number: str) -> QuerySet[Coupon]:
    """Return the customer's referral coupon as a queryset of at most one row."""
    return Coupon.objects.live().filter(tenant=tenant_id, issued_to=customer_number, is_referral=True)


@transaction.atomic
def create_referral_coupon(*, tenant_id: int, customer_number: str, at: datetime) -> Coupon:
    """Return the customer's referral coupon, created when there is none.

    Locks the customer, so that two requests at once make one coupon. Prefix, amount and currency are the
    tenant's coupon settings. Raises NotFound for an unknown customer.
    """
    customer = (
        Customer.objects.select_for_update(of=("self",), no_key=True)
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
        body=CouponBody(
            code=generate_code(settings.referral_prefix),
            name="Referral coupon",  # everybody who has the code reads this, so it does not name the customer
            discount_type="ABSOLUTE",
            discount_absolute=Money(Amount(settings.referral_amount), currency),
            allows_anonymous=True,
            issued_to=customer_number,
        ),
        at=at,
        is_referral=True,
    )
