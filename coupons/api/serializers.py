"""The bodies of this service as the OpenAPI document describes them; `bodies` reads them."""

from rest_framework import serializers

from coupons.models import DiscountCalculation, DiscountType


class FreeObject(serializers.DictField):
    """A JSON object of any members."""


class CurrencyAmount(serializers.Serializer):
    amount = serializers.FloatField(default=0, min_value=0)
    currency = serializers.RegexField(r"^[A-Z]{3}$", default="USD")


class Metadata(serializers.Serializer):
    version = serializers.IntegerField(required=False, help_text="0 at first; each change adds 1.")
    mixins = FreeObject(required=False, help_text="The addresses of the schemas of the mixins.")


class Restrictions(serializers.Serializer):
    validFor = serializers.ListField(child=serializers.CharField(), required=False)
    validFrom = serializers.DateTimeField(required=False)
    validUntil = serializers.DateTimeField(required=False)
    minOrderValue = CurrencyAmount(required=False)
    includedCategories = serializers.ListField(child=serializers.CharField(), required=False)
    excludedCategories = serializers.ListField(child=serializers.CharField(), required=False)
    segments = serializers.ListField(child=serializers.CharField(), required=False)


class CouponUpdate(serializers.Serializer):
    name = serializers.CharField()
    description = serializers.CharField(required=False)
    discountType = serializers.ChoiceField(DiscountType.values, default="ABSOLUTE")
    discountPercentage = serializers.FloatField(required=False, min_value=0, max_value=100)
    discountAbsolute = CurrencyAmount(required=False)
    discountCalculationType = serializers.ChoiceField(DiscountCalculation.values, default="SUBTOTAL")
    allowAnonymous = serializers.BooleanField(default=False)
    maxRedemptions = serializers.IntegerField(default=-1, min_value=-1)
    maxRedemptionsPerCustomer = serializers.IntegerField(default=-1, min_value=-1)
    categoryRestricted = serializers.BooleanField(default=False)
    segmentRestricted = serializers.BooleanField(default=False)
    restrictions = Restrictions(required=False)
    issuedTo = serializers.CharField(required=False)
    mixins = FreeObject(required=False)
    metadata = Metadata(required=False)


class CouponCreation(CouponUpdate):
    code = serializers.CharField(required=False, help_text="Generated when absent.")


class LegalEntityRedemptions(serializers.Serializer):
    legalEntityId = serializers.CharField()
    count = serializers.IntegerField()


class CouponResponse(CouponUpdate):
    code = serializers.CharField()
    status = serializers.ChoiceField(["VALID", "INACTIVE", "EXPIRED", "USED"])
    redemptionCount = serializers.IntegerField(required=False)
    legalEntityRedemptions = LegalEntityRedemptions(many=True, required=False)
    referralCoupon = serializers.BooleanField(required=False)
    deleted = serializers.BooleanField(required=False)


class ResourceLocation(serializers.Serializer):
    id = serializers.CharField()


class OrderLine(serializers.Serializer):
    id = serializers.CharField(help_text="A product's id.")
    amount = serializers.FloatField(min_value=0, help_text="The line's total, in the order's currency.")
    quantity = serializers.FloatField(required=False, min_value=0)


class RedemptionCreation(serializers.Serializer):
    orderCode = serializers.CharField(required=False)
    customerNumber = serializers.CharField(
        required=False, help_text="Another customer than the caller needs coupon.coupon_redeem_on_behalf."
    )
    legalEntityId = serializers.CharField(required=False)
    orderTotal = CurrencyAmount()
    discount = CurrencyAmount()
    items = OrderLine(many=True, required=False)


class CouponValidation(RedemptionCreation):
    discount = CurrencyAmount(required=False, help_text="Needed without items.")


class EligibleItem(serializers.Serializer):
    id = serializers.CharField()
    amount = serializers.FloatField()


class CouponVerdict(serializers.Serializer):
    eligibleItems = EligibleItem(many=True)
    eligibleAmount = serializers.FloatField()
    discount = serializers.FloatField()


class RedemptionResponse(serializers.Serializer):
    id = serializers.CharField()
    code = serializers.CharField()
    orderCode = serializers.CharField(required=False)
    customerNumber = serializers.CharField(required=False)
    legalEntityId = serializers.CharField(required=False)
    orderTotal = CurrencyAmount()
    discount = CurrencyAmount()
    redeemedAt = serializers.DateTimeField()
