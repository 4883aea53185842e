"""The bodies of categories and assignments as the OpenAPI document describes them; `bodies` reads them."""

from rest_framework import serializers


class Translations(serializers.DictField):
    child = serializers.CharField()


class FreeObject(serializers.DictField):
    """A JSON object of any members."""


class CategoryValidity(serializers.Serializer):
    def get_fields(self) -> dict[str, serializers.Field]:
        """Return both ends; `from` is a word of Python, so the fields cannot be attributes."""
        return {
            "from": serializers.DateTimeField(required=False, allow_null=True),
            "to": serializers.DateTimeField(required=False, allow_null=True),
        }


class CategoryMetadataCreate(serializers.Serializer):
    mixins = FreeObject(required=False, allow_null=True)


class CategoryMetadataUpdate(CategoryMetadataCreate):
    version = serializers.IntegerField(required=False, allow_null=True)


class CategoryMetadata(serializers.Serializer):
    createdAt = serializers.DateTimeField()
    modifiedAt = serializers.DateTimeField()
    version = serializers.IntegerField()
    mixins = FreeObject(required=False)


class OwnClassificationMixin(serializers.Serializer):
    name = serializers.CharField()
    schemaUrl = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the attributes and `required`, which is a parameter of every serializer."""
        return {**super().get_fields(), "required": serializers.BooleanField(required=False)}


class ClassificationMixin(OwnClassificationMixin):
    mixinPath = serializers.CharField(
        help_text="Where products have it: `class_<code of the source>_<name>`."
    )
    sourceCategoryId = serializers.CharField(help_text="The category itself or one above it.")


class CategoryBody(serializers.Serializer):
    type = serializers.ChoiceField(["STANDARD", "CLASSIFICATION"], required=False, allow_null=True)
    localizedName = Translations(help_text="Texts by language; or one text, in the Content-Language.")
    localizedDescription = Translations(required=False, allow_null=True)
    localizedSlug = Translations(required=False, allow_null=True, help_text="Without diacritics.")
    parentId = serializers.CharField(
        required=False, allow_null=True, help_text="Absent, null or `root` makes a root category."
    )
    ecn = serializers.ListField(child=serializers.CharField(), required=False, allow_null=True)
    code = serializers.CharField(required=False, allow_null=True, help_text="Unique, whatever its case.")
    validity = CategoryValidity(required=False, allow_null=True)
    position = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, help_text="Absent: last among its siblings."
    )
    published = serializers.BooleanField()
    ownClassificationMixins = OwnClassificationMixin(many=True, required=False, allow_null=True)
    mixins = FreeObject(required=False, allow_null=True)


class CategoryCreation(CategoryBody):
    id = serializers.CharField(required=False, allow_null=True, help_text="Generated when absent.")
    metadata = CategoryMetadataCreate(required=False, allow_null=True)


class CategoryUpdate(CategoryBody):
    metadata = CategoryMetadataUpdate(required=False, allow_null=True)


class CategoryResponse(serializers.Serializer):
    id = serializers.CharField()
    parentId = serializers.CharField(required=False, help_text="Absent for a root category.")
    type = serializers.ChoiceField(["STANDARD", "CLASSIFICATION"], required=False)
    localizedName = Translations(required=False)
    localizedDescription = Translations(required=False)
    localizedSlug = Translations(required=False)
    name = serializers.CharField(required=False, help_text="Deprecated: in the tenant's default language.")
    description = serializers.CharField(
        required=False, help_text="Deprecated: in the tenant's default language."
    )
    code = serializers.CharField(required=False)
    ecn = serializers.ListField(child=serializers.CharField(), required=False)
    validity = CategoryValidity(required=False)
    position = serializers.IntegerField(required=False)
    published = serializers.BooleanField(required=False)
    supercategoriesIds = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="From the root down to the parent."
    )
    ownClassificationMixins = OwnClassificationMixin(many=True, required=False)
    classificationMixins = ClassificationMixin(many=True, required=False)
    mixins = FreeObject(required=False)
    metadata = CategoryMetadata(required=False)
    media = serializers.ListField(child=FreeObject(), required=False)


class CategoryTreeResponse(serializers.Serializer):
    id = serializers.CharField()
    parentId = serializers.CharField(required=False, help_text="Absent for a root category.")
    localizedName = Translations()
    localizedDescription = Translations(required=False)
    localizedSlug = Translations(required=False)
    name = serializers.CharField(allow_blank=True, help_text="Deprecated: in the tenant's default language.")
    description = serializers.CharField(
        required=False, help_text="Deprecated: in the tenant's default language."
    )
    code = serializers.CharField(required=False)
    validity = CategoryValidity(required=False)
    position = serializers.IntegerField()
    published = serializers.BooleanField()
    ecn = serializers.ListField(child=serializers.CharField())
    subcategories = serializers.ListField(child=FreeObject(), help_text="Nodes of the same shape.")


class DeprecatedCategoryTree(serializers.Serializer):
    id = serializers.CharField(help_text="`root`, which stands for the whole forest.")
    name = serializers.CharField()
    position = serializers.IntegerField()
    published = serializers.BooleanField()
    subcategories = serializers.ListField(
        child=FreeObject(), help_text="The root categories, each with its own subcategories."
    )


class CategoryId(serializers.Serializer):
    id = serializers.CharField()


class CategorySearchBody(serializers.Serializer):
    q = serializers.CharField(required=False, allow_null=True, help_text="As the parameter q of the list.")


class TreeSearchBody(serializers.Serializer):
    categoryIds = serializers.ListField(child=serializers.CharField(), max_length=1_000)


class AssignmentReference(serializers.Serializer):
    id = serializers.CharField(max_length=128)
    type = serializers.CharField(help_text="PRODUCT")


class AssignmentReferenceUpsert(serializers.Serializer):
    id = serializers.CharField(max_length=128)
    type = serializers.CharField(required=False, allow_null=True, help_text="PRODUCT")


class AssignmentBody(serializers.Serializer):
    ref = AssignmentReference()


class AssignmentUpsertBody(serializers.Serializer):
    ref = AssignmentReferenceUpsert()


class AssignedReference(serializers.Serializer):
    id = serializers.CharField()
    type = serializers.CharField(help_text="PRODUCT")
    localizedName = Translations()


class CategoryAssignmentResponse(serializers.Serializer):
    id = serializers.CharField()
    categoryId = serializers.CharField(required=False)
    ref = AssignedReference(required=False)


class BulkCategoryAssignmentResponse(serializers.Serializer):
    assignmentId = serializers.CharField(required=False)
    productId = serializers.CharField(required=False)
    index = serializers.IntegerField(help_text="The entry's place in the body, from 0.")
    code = serializers.IntegerField()
    status = serializers.CharField()
    message = serializers.CharField(required=False)
