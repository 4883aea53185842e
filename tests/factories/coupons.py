from datetime import UTC, datetime
from decimal import Decimal

import factory

from coupons.bodies import CouponBody, Restrictions
from coupons.models import Coupon, CouponCampaign, CouponCategory, CouponSegment, Redemption, Reservation
from tests.factories.accounts import TenantFactory


class CouponFactory(factory.django.DjangoModelFactory):
    """A coupon of ten percent without any restriction."""

    class Meta:
        model = Coupon

    tenant = factory.SubFactory(TenantFactory)
    code = factory.Sequence(lambda n: f"CODE{n}")
    name = factory.LazyAttribute(lambda coupon: f"Coupon {coupon.code}")
    discount_type = "PERCENT"
    discount_percentage = Decimal(10)


class CouponSegmentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CouponSegment

    tenant = factory.SelfAttribute("coupon.tenant")
    segment_external_id = factory.LazyAttribute(lambda row: row.segment.external_id)


class CouponCategoryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CouponCategory

    tenant = factory.SelfAttribute("coupon.tenant")
    category_external_id = factory.LazyAttribute(lambda row: row.category.external_id)


class RedemptionFactory(factory.django.DjangoModelFactory):
    """A redemption as a row; the coupon's counter stays as it is."""

    class Meta:
        model = Redemption

    coupon = factory.SubFactory(CouponFactory)
    tenant = factory.SelfAttribute("coupon.tenant")
    order_total_amount = Decimal(100)
    order_total_currency = "EUR"
    discount_amount = Decimal(10)
    discount_currency = "EUR"
    redeemed_at = datetime(2024, 1, 31, 12, tzinfo=UTC)


class CouponCampaignFactory(factory.django.DjangoModelFactory):
    """A campaign of one code that has been made."""

    class Meta:
        model = CouponCampaign
        skip_postgeneration_save = True

    tenant = factory.SubFactory(TenantFactory)
    terms = factory.SubFactory(CouponFactory, tenant=factory.SelfAttribute("..tenant"), max_redemptions=1)
    code_count = 1

    @factory.post_generation
    def codes(campaign, create, extracted, **values):
        Coupon.objects.filter(pk=campaign.terms_id).update(terms=campaign.terms_id)
        CouponFactory(tenant=campaign.tenant, terms=campaign.terms, discount_type="FREE_SHIPPING")


class ReservationFactory(factory.django.DjangoModelFactory):
    """A use that is held for a quarter of an hour from the instant at which requests of tests happen."""

    class Meta:
        model = Reservation

    coupon = factory.SubFactory(CouponFactory)
    tenant = factory.SelfAttribute("coupon.tenant")
    customer_number = "C1"
    order_total_amount = Decimal(100)
    order_total_currency = "EUR"
    discount_amount = Decimal(10)
    discount_currency = "EUR"
    reserved_at = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
    expires_at = datetime(2026, 3, 4, 9, 45, tzinfo=UTC)


def coupon_body(**values: object) -> CouponBody:
    """Return a body of ten percent; restrictions are given beside the other values."""
    restrictions = {name: values.pop(name) for name in Restrictions.__struct_fields__ if name in values}
    ten = {"name": "Ten", "discount_type": "PERCENT", "discount_percentage": Decimal(10)}
    return CouponBody(**{**ten, **values}, restrictions=Restrictions(**restrictions))
