"""Bodies of customers."""

from typing import Any

from rest_framework import serializers

from accounts.api.serializers.documents import AccountMetadata, Body, DocumentInput, JsonObject
from accounts.models import Customer


class CompanyInput(Body):
    companyRegistrationId = serializers.CharField(
        source="company_registration_id", max_length=100, required=False, allow_blank=True, default=""
    )


class ProfileInput(DocumentInput):
    """What customers may say of themselves."""

    title = serializers.CharField(max_length=20, required=False, allow_blank=True, default="")
    firstName = serializers.CharField(
        source="first_name", max_length=150, required=False, allow_blank=True, default=""
    )
    middleName = serializers.CharField(
        source="middle_name", max_length=150, required=False, allow_blank=True, default=""
    )
    lastName = serializers.CharField(
        source="last_name", max_length=150, required=False, allow_blank=True, default=""
    )
    contactEmail = serializers.EmailField(source="email", max_length=254, required=False)
    contactPhone = serializers.CharField(
        source="contact_phone", max_length=60, required=False, allow_blank=True, default=""
    )
    company = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    preferredLanguage = serializers.CharField(
        source="preferred_language", max_length=35, required=False, default="en_US"
    )
    preferredCurrency = serializers.RegexField(
        r"\A[A-Z]{3}\Z", source="preferred_currency", required=False, default="USD"
    )
    preferredSite = serializers.CharField(
        source="preferred_site", max_length=128, required=False, default="main"
    )
    photoUrl = serializers.URLField(
        source="photo_url", max_length=2000, required=False, allow_blank=True, default=""
    )
    b2b = CompanyInput(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        company = attrs.pop("b2b", {})
        return {**attrs, "company_registration_id": company.get("company_registration_id", "")}


class CustomerInput(ProfileInput):
    """What staff may say of a customer. Absent, `active` and `onHold` stay as they are."""

    type = serializers.ChoiceField(["CUSTOMER", "CONTACT"], required=False, default="CUSTOMER")
    active = serializers.BooleanField(source="is_active", required=False)
    onHold = serializers.BooleanField(source="is_on_hold", required=False)


class CustomerCreation(CustomerInput):
    id = serializers.CharField(max_length=128, required=False)
    password = serializers.CharField(min_length=6, max_length=128, required=False, trim_whitespace=False)


class Credentials(Body):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class SignupInput(Body):
    """A sign-up. Addresses are accepted and not kept; this service has one e-mail a customer.

    How long a password must be at least, and what else, AUTH_PASSWORD_VALIDATORS say.
    """

    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=128, trim_whitespace=False)
    customerDetails = ProfileInput(required=False)
    customerAddress = JsonObject(required=False)
    signup = Credentials(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        email = attrs["email"].lower()
        details = attrs.get("customerDetails", {})
        if details.get("email", email).lower() != email:
            raise serializers.ValidationError(
                {"customerDetails": {"contactEmail": "This must be the e-mail of the sign-up."}}
            )
        if attrs.get("signup", {}).get("email", email).lower() != email:
            raise serializers.ValidationError(
                {"signup": {"email": "This must be the e-mail of the sign-up: a customer has one."}}
            )
        return attrs


class LegalEntityOfCustomer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    contactAssignmentId = serializers.CharField()


class CompanyOfCustomer(serializers.Serializer):
    companyRegistrationId = serializers.CharField(required=False)
    legalEntities = LegalEntityOfCustomer(many=True, required=False)


class AccountOfCustomer(serializers.Serializer):
    id = serializers.EmailField()


class CustomerAnswer(serializers.Serializer):
    """A customer as clients read it."""

    id = serializers.CharField()
    customerNumber = serializers.CharField()
    title = serializers.CharField(required=False)
    firstName = serializers.CharField(required=False)
    middleName = serializers.CharField(required=False)
    lastName = serializers.CharField(required=False)
    contactEmail = serializers.EmailField(required=False)
    email = serializers.EmailField(required=False)
    contactPhone = serializers.CharField(required=False)
    company = serializers.CharField(required=False)
    preferredLanguage = serializers.CharField(required=False)
    preferredCurrency = serializers.CharField(required=False)
    preferredSite = serializers.CharField(required=False)
    type = serializers.CharField(required=False)
    photoUrl = serializers.CharField(required=False)
    active = serializers.BooleanField(required=False)
    onHold = serializers.BooleanField(required=False)
    businessModel = serializers.ChoiceField(["B2B", "B2C"], required=False)
    b2b = CompanyOfCustomer(required=False)
    accounts = AccountOfCustomer(many=True)
    lastLogin = serializers.DateTimeField(required=False)
    mixins = JsonObject(required=False)
    metadata = AccountMetadata(required=False)
    metadataCreatedAt = serializers.DateTimeField(required=False)


def customer_document(customer: Customer) -> dict[str, Any]:
    """Return the customer as a patch sees it: what clients write, and what no patch can change."""
    document: dict[str, Any] = {
        "id": customer.external_id,
        "customerNumber": customer.external_id,
        "title": customer.title,
        "firstName": customer.first_name,
        "middleName": customer.middle_name,
        "lastName": customer.last_name,
        "contactEmail": customer.email,
        "contactPhone": customer.contact_phone,
        "company": customer.company,
        "preferredLanguage": customer.preferred_language,
        "preferredCurrency": customer.preferred_currency,
        "preferredSite": customer.preferred_site,
        "type": customer.type,
        "photoUrl": customer.photo_url,
        "active": customer.is_active,
        "onHold": customer.is_on_hold,
        "b2b": {"companyRegistrationId": customer.company_registration_id},
        "mixins": customer.mixins,
        "metadata": {"version": customer.version, "mixins": customer.mixin_schemas},
    }
    return {name: value for name, value in document.items() if value is not None}
