"""Bodies of sites."""

from typing import Any
from zoneinfo import available_timezones

from rest_framework import serializers

from accounts.api.serializers.documents import Body, DocumentInput, JsonObject
from accounts.models import Site

SETTINGS = ("shipping", "payment", "tax", "assistedBuying", "cartCalculationScale")


def language_field() -> serializers.RegexField:
    return serializers.RegexField(r"\A[a-z]{2}\Z")


def country_field() -> serializers.RegexField:
    return serializers.RegexField(r"\A[A-Z]{2}\Z")


def currency_field() -> serializers.RegexField:
    return serializers.RegexField(r"\A[A-Z]{3}\Z")


class SiteAddress(Body):
    country = country_field()
    zipCode = serializers.CharField(max_length=20)
    street = serializers.CharField(max_length=200, required=False, allow_blank=True)
    streetNumber = serializers.CharField(max_length=50, required=False, allow_blank=True)
    streetAppendix = serializers.CharField(max_length=200, required=False, allow_blank=True)
    extraLine1 = serializers.CharField(max_length=200, required=False, allow_blank=True)
    extraLine2 = serializers.CharField(max_length=200, required=False, allow_blank=True)
    extraLine3 = serializers.CharField(max_length=200, required=False, allow_blank=True)
    extraLine4 = serializers.CharField(max_length=200, required=False, allow_blank=True)
    city = serializers.CharField(max_length=200, required=False, allow_blank=True)
    state = serializers.CharField(max_length=100, required=False, allow_blank=True)


class Location(Body):
    latitude = serializers.FloatField(min_value=-90, max_value=90, required=False)
    longitude = serializers.FloatField(min_value=-180, max_value=180, required=False)


class HomeBase(Body):
    address = SiteAddress()
    location = Location(required=False)
    timezone = serializers.CharField(max_length=64, required=False)

    def validate_timezone(self, value: str) -> str:
        if value not in available_timezones():
            raise serializers.ValidationError("This is no IANA time zone.", code="unknown_time_zone")
        return value


class AssistedBuying(Body):
    storefrontUrl = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class SiteInput(DocumentInput):
    code = serializers.RegexField(r"\A[^\s#/]+\Z", max_length=128, required=False)
    name = serializers.CharField(max_length=200)
    active = serializers.BooleanField(source="is_active", required=False, default=True)
    default = serializers.BooleanField(source="is_default", required=False, default=False)
    includesTax = serializers.BooleanField(source="includes_tax", required=False, default=None)
    defaultLanguage = serializers.RegexField(r"\A[a-z]{2}\Z", source="default_language")
    languages = serializers.ListField(child=language_field(), min_length=1, max_length=100)
    currency = currency_field()
    availableCurrencies = serializers.ListField(
        child=currency_field(), source="available_currencies", required=False, default=list, max_length=200
    )
    homeBase = HomeBase(source="home_base")
    shipToCountries = serializers.ListField(child=country_field(), source="ship_to_countries", max_length=300)
    taxDeterminationBasedOn = serializers.ChoiceField(
        ["BILLING_ADDRESS", "SHIPPING_ADDRESS"],
        source="tax_determination_based_on",
        required=False,
        default="BILLING_ADDRESS",
    )
    shipping = serializers.ListField(child=JsonObject(), required=False, max_length=100)
    payment = serializers.ListField(child=JsonObject(), required=False, max_length=100)
    tax = serializers.ListField(child=JsonObject(), required=False, max_length=100)
    assistedBuying = AssistedBuying(required=False)
    cartCalculationScale = serializers.IntegerField(required=False, min_value=0, max_value=20)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["settings"] = {name: attrs.pop(name) for name in SETTINGS if name in attrs}
        return attrs


class SitePatched(SiteInput):
    """A site after a patch. One that was made without a home base still has none."""

    homeBase = HomeBase(source="home_base", required=False, default=dict)


class SiteCreation(SiteInput):
    code = serializers.RegexField(r"\A[^\s#/]+\Z", max_length=128)


class SiteMetadata(serializers.Serializer):
    version = serializers.IntegerField()
    mixins = JsonObject()


class SiteAnswer(serializers.Serializer):
    """A site as clients read it."""

    code = serializers.CharField()
    name = serializers.CharField()
    active = serializers.BooleanField()
    default = serializers.BooleanField()
    includesTax = serializers.BooleanField(required=False)
    defaultLanguage = serializers.CharField()
    languages = serializers.ListField(child=serializers.CharField())
    currency = serializers.CharField()
    availableCurrencies = serializers.ListField(child=serializers.CharField())
    homeBase = HomeBase()
    shipToCountries = serializers.ListField(child=serializers.CharField())
    taxDeterminationBasedOn = serializers.CharField()
    shipping = serializers.ListField(child=JsonObject(), required=False)
    payment = serializers.ListField(child=JsonObject(), required=False)
    tax = serializers.ListField(child=JsonObject(), required=False)
    assistedBuying = AssistedBuying(required=False)
    cartCalculationScale = serializers.IntegerField(required=False)
    mixins = JsonObject(required=False)
    metadata = SiteMetadata()


def site_document(site: Site) -> dict[str, Any]:
    """Return the site as a patch sees it: what clients write, and what no patch can change."""
    document: dict[str, Any] = {
        "code": site.code,
        "name": site.name,
        "active": site.is_active,
        "default": site.is_default,
        "includesTax": site.includes_tax,
        "defaultLanguage": site.default_language,
        "languages": site.languages,
        "currency": site.currency,
        "availableCurrencies": site.available_currencies,
        "homeBase": site.home_base or None,
        "shipToCountries": site.ship_to_countries,
        "taxDeterminationBasedOn": site.tax_determination_based_on,
        **site.settings,
        "mixins": site.mixins,
        "metadata": {"version": site.version, "mixins": site.mixin_schemas},
    }
    return {name: value for name, value in document.items() if value is not None}
