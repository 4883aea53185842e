"""The bodies of this service as the OpenAPI document describes them; `rows` reads them."""

from rest_framework import serializers


class Translations(serializers.DictField):
    child = serializers.CharField()


class FreeObject(serializers.DictField):
    """A JSON object of any members."""


class Validity(serializers.Serializer):
    def get_fields(self) -> dict[str, serializers.Field]:
        """Return both ends; `from` is a word of Python, so the fields cannot be attributes."""
        return {
            "from": serializers.DateTimeField(required=False, allow_null=True),
            "to": serializers.DateTimeField(required=False, allow_null=True),
        }


class MetadataCreate(serializers.Serializer):
    mixins = FreeObject(required=False, allow_null=True)


class MetadataUpdate(MetadataCreate):
    version = serializers.IntegerField(required=False, allow_null=True)


class MetadataResponse(serializers.Serializer):
    createdAt = serializers.DateTimeField()
    modifiedAt = serializers.DateTimeField()
    version = serializers.IntegerField()
    mixins = FreeObject(required=False)


class SegmentCommon(serializers.Serializer):
    name = Translations(help_text="Texts by language; or one text, in the language of Content-Language.")
    description = Translations(required=False, allow_null=True)
    validity = Validity(required=False, allow_null=True)
    status = serializers.ChoiceField(["ACTIVE", "INACTIVE"], required=False, allow_null=True)
    siteCode = serializers.CharField()
    mixins = FreeObject(required=False, allow_null=True)


class SegmentCreation(SegmentCommon):
    id = serializers.CharField(required=False, allow_null=True, help_text="Generated when absent.")
    metadata = MetadataCreate(required=False, allow_null=True)


class SegmentUpdate(SegmentCommon):
    metadata = MetadataUpdate(required=False, allow_null=True)


class SegmentUpdateBulk(SegmentUpdate):
    id = serializers.CharField()


class WindowResponse(serializers.Serializer):
    def get_fields(self) -> dict[str, serializers.Field]:
        return {
            "from": serializers.DateTimeField(required=False),
            "to": serializers.DateTimeField(required=False),
        }


class SegmentResponse(serializers.Serializer):
    id = serializers.CharField()
    name = Translations(required=False)
    description = Translations(required=False)
    validity = WindowResponse(required=False)
    status = serializers.ChoiceField(["ACTIVE", "INACTIVE"], required=False)
    siteCode = serializers.CharField(required=False)
    mixins = FreeObject(required=False)
    metadata = MetadataResponse(required=False)


class IdResponse(serializers.Serializer):
    id = serializers.CharField()


class SearchBody(serializers.Serializer):
    q = serializers.CharField(required=False, allow_null=True, help_text="As the parameter q of the list.")


class AssignmentUpsert(serializers.Serializer):
    mixins = FreeObject(required=False, allow_null=True)
    metadata = MetadataUpdate(required=False, allow_null=True)
    validity = Validity(
        required=False, allow_null=True, help_text="Outside it the assignment does not count for shoppers."
    )


class CustomerAssignmentUpsertBulk(AssignmentUpsert):
    customerId = serializers.CharField()
    legalEntityId = serializers.CharField(required=False, allow_null=True, help_text="Absent for B2C.")


class MemberBody(serializers.Serializer):
    customerId = serializers.CharField()
    legalEntityId = serializers.CharField(required=False, allow_null=True, help_text="Absent for B2C.")


class AssignedCustomer(serializers.Serializer):
    id = serializers.CharField()
    firstName = serializers.CharField(required=False)
    lastName = serializers.CharField(required=False)
    email = serializers.CharField(required=False)


class AssignedLegalEntity(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()


class CustomerAssignmentResponse(serializers.Serializer):
    customer = AssignedCustomer(required=False)
    legalEntity = AssignedLegalEntity(required=False, help_text="Absent for B2C.")
    assignmentType = serializers.ChoiceField(["MANUAL", "AUTOMATIC"], required=False)
    validity = WindowResponse(required=False)
    mixins = FreeObject(required=False)
    metadata = MetadataResponse(required=False)


class ItemAssignmentUpsert(AssignmentUpsert):
    includeSubcategories = serializers.BooleanField(
        required=False, allow_null=True, help_text="Categories only: descendants count too, also later ones."
    )


class ItemAssignmentUpsertBulk(ItemAssignmentUpsert):
    id = serializers.CharField()


class AssignedItem(serializers.Serializer):
    id = serializers.CharField()
    code = serializers.CharField(required=False)
    name = Translations(required=False)


class ItemAssignmentResponse(serializers.Serializer):
    segmentId = serializers.CharField(required=False)
    item = AssignedItem(required=False)
    type = serializers.ChoiceField(["PRODUCT", "CATEGORY"], required=False)
    includeSubcategories = serializers.BooleanField(required=False)
    validity = WindowResponse(required=False)
    mixins = FreeObject(required=False)
    metadata = MetadataResponse(required=False)


class CategoryTreeNode(serializers.Serializer):
    id = serializers.CharField()
    parentId = serializers.CharField(required=False)
    code = serializers.CharField(allow_blank=True)
    name = Translations()
    localizedDescription = Translations(required=False)
    localizedSlug = Translations(required=False)
    ecn = serializers.ListField(child=serializers.CharField(), required=False)
    validity = WindowResponse(required=False)
    position = serializers.IntegerField()
    published = serializers.BooleanField()
    isSegmentAssigned = serializers.BooleanField()
    subcategories = serializers.ListField(
        child=FreeObject(), required=False, help_text="Nodes of the same shape."
    )


class MatchItem(serializers.Serializer):
    id = serializers.CharField()


class MatchBody(serializers.Serializer):
    items = MatchItem(many=True, allow_null=True, required=False, help_text="At most 1000.")
    segmentIds = serializers.ListField(
        child=serializers.CharField(), max_length=200, allow_null=True, required=False
    )
    siteCode = serializers.CharField(help_text="`site` is accepted as well.")


class BulkAssignmentResponse(serializers.Serializer):
    index = serializers.IntegerField(help_text="The entry's place in the body, from 1.")
    code = serializers.IntegerField()
    status = serializers.CharField()
    message = serializers.CharField(required=False)


class BulkResponse(BulkAssignmentResponse):
    id = serializers.CharField(required=False)
