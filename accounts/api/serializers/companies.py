"""Bodies of legal entities and contact assignments."""

from typing import Any

from rest_framework import serializers

from accounts.api.serializers.documents import (
    LONGEST_LIST,
    AccountMetadata,
    Body,
    DocumentInput,
    JsonObject,
)


class LegalInfo(Body):
    legalName = serializers.CharField(max_length=300, required=False, allow_blank=True)
    registrationDate = serializers.CharField(max_length=40, required=False, allow_blank=True)
    taxRegistrationNumber = serializers.CharField(max_length=100, required=False, allow_blank=True)
    registrationAgency = serializers.CharField(max_length=300, required=False, allow_blank=True)
    countryOfRegistration = serializers.CharField(max_length=100, required=False, allow_blank=True)
    registrationId = serializers.CharField(max_length=100, required=False, allow_blank=True)


class AccountLimit(Body):
    currency = serializers.CharField(max_length=3, required=False)
    value = serializers.FloatField(min_value=0, required=False)


class Reference(Body):
    id = serializers.CharField(max_length=128)


class CustomerGroup(Reference):
    name = JsonObject(required=False)
    role = serializers.CharField(max_length=100, required=False)


class LegalEntityInput(DocumentInput):
    name = serializers.CharField(max_length=300)
    type = serializers.ChoiceField(["COMPANY", "SUBSIDIARY"], required=False, default="COMPANY")
    parentId = serializers.CharField(max_length=128, required=False, allow_blank=True, default="")
    legalInfo = LegalInfo(source="legal_info", required=False, default=dict)
    accountLimit = AccountLimit(source="account_limit", required=False, default=dict)
    customerGroups = serializers.ListField(
        child=CustomerGroup(), source="customer_groups", required=False, default=list, max_length=LONGEST_LIST
    )
    entitiesAddresses = serializers.ListField(
        child=Reference(), source="entities_addresses", required=False, default=list, max_length=LONGEST_LIST
    )
    approvalGroup = serializers.ListField(
        child=Reference(), source="approval_group", required=False, default=list, max_length=LONGEST_LIST
    )
    restrictions = serializers.ListField(
        child=serializers.CharField(max_length=128), required=False, default=list, max_length=1
    )


class LegalEntityCreation(LegalEntityInput):
    id = serializers.CharField(max_length=128, required=False)


class LegalEntityAnswer(serializers.Serializer):
    """A legal entity as clients read it."""

    id = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(["COMPANY", "SUBSIDIARY"])
    parentId = serializers.CharField(required=False)
    legalInfo = LegalInfo(required=False)
    accountLimit = AccountLimit(required=False)
    customerGroups = CustomerGroup(many=True, required=False)
    entitiesAddresses = Reference(many=True, required=False)
    approvalGroup = Reference(many=True, required=False)
    restrictions = serializers.ListField(child=serializers.CharField(), required=False)
    mixins = JsonObject(required=False)
    metadata = AccountMetadata()


class ContactAssignmentInput(DocumentInput):
    legalEntity = Reference()
    customer = Reference()
    type = serializers.ChoiceField(
        ["PRIMARY", "BILLING", "LOGISTICS", "CONTACT"], required=False, default="CONTACT"
    )
    primary = serializers.BooleanField(source="is_primary", required=False, default=False)

    @property
    def references(self) -> dict[str, Any]:
        """The ids of the legal entity and the customer."""
        return {
            "legal_entity_id": self.validated_data["legalEntity"]["id"],
            "customer_id": self.validated_data["customer"]["id"],
        }


class ContactAssignmentCreation(ContactAssignmentInput):
    id = serializers.CharField(max_length=128, required=False)


class ContactCustomer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField(required=False)
    surname = serializers.CharField(required=False)
    email = serializers.EmailField(required=False)
    phone = serializers.CharField(required=False)


class ContactLegalEntity(LegalEntityAnswer):
    metadata = None  # type: ignore[assignment]
    mixins = None  # type: ignore[assignment]


class ContactAssignmentAnswer(serializers.Serializer):
    """A contact assignment as clients read it."""

    id = serializers.CharField()
    legalEntity = ContactLegalEntity()
    customer = ContactCustomer()
    type = serializers.ChoiceField(["PRIMARY", "BILLING", "LOGISTICS", "CONTACT"])
    primary = serializers.BooleanField()
    mixins = JsonObject(required=False)
    metadata = AccountMetadata()
