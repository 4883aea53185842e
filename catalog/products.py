"""Products on the wire: what clients read and what they write."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from catalog.api.serializers import CategoryMetadata, CategoryMetadataUpdate, FreeObject, Translations
from catalog.bodies import (
    LONGEST_CODE,
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    read_flag,
    read_metadata,
    read_object,
    read_text,
)
from catalog.errors import InvalidProduct
from catalog.models import Product
from catalog.operations.products import ProductDraft
from catalog.representations import ALIASES, metadata
from core.errors import InvalidInput
from core.representation.fields import Boolean, Json, JsonEntries, Localized, Text, Texts
from core.representation.languages import read_translations
from core.representation.representations import Representation
from core.tenancy.identifiers import check_client_id
from core.timestamps import format_time

DETAILS: Mapping[str, type] = {
    "template": dict,
    "taxClasses": dict,
    "relatedItems": list,
    "vendor": dict,
    "brandId": str,
    "labelIds": list,
    "weightDependent": bool,
}
"""Attributes that are kept as they are given, and the JSON type of each."""

ENTRIES: Mapping[str, tuple[type, str]] = {
    "taxClasses": (str, "a text"),
    "relatedItems": (dict, "an object"),
    "labelIds": (str, "a text"),
}
"""What those attributes hold that are lists or maps of one type."""

CATEGORY_IDS = (
    "coalesce((SELECT array_agg(category.external_id::text ORDER BY assignment.id)"
    " FROM catalog_categoryassignment AS assignment"
    " JOIN catalog_category AS category ON category.id = assignment.category_id"
    " WHERE assignment.tenant_id = product.tenant_id AND assignment.product_id = product.id), '{}')"
)

PRODUCT = Representation(
    table="catalog_product",
    alias="product",
    fields={
        "id": Text("product.external_id"),
        "code": Text("product.code"),
        "name": Localized("product.name", omit_empty=False),
        "description": Localized("product.description"),
        "published": Boolean("product.is_published"),
        "productType": Text("product.product_type"),
        **{
            name: (JsonEntries if kind is list else Json)(f"(product.details -> '{name}')")
            for name, kind in DETAILS.items()
        },
        "categoryIds": Texts(CATEGORY_IDS),
        "mixins": Json("product.mixins"),
        "metadata": metadata("product"),
    },
    aliases=ALIASES,
    derived=("categoryIds",),
)


def read_product(
    body: object, *, content_language: str | None, default_language: str, product_id: str
) -> ProductDraft:
    """Read a whole product; `product_id` empty means that the service generates one."""
    if not isinstance(body, dict):
        raise InvalidInput("The product is a JSON object.")
    code = read_text(body, "code", longest=LONGEST_CODE)
    if code is None:
        raise InvalidProduct("code must not be empty.", field="code")
    if body.get("productType") not in (None, "BASIC"):
        raise InvalidProduct("productType must be BASIC; this service keeps no others.", field="productType")
    texts: dict[str, dict[str, str]] = {}
    for name, longest in (("name", LONGEST_NAME), ("description", LONGEST_DESCRIPTION)):
        value = body.get(name)
        texts[name] = (
            {}
            if value is None
            else read_translations(value, content_language, default_language, field=name, max_length=longest)
        )
    if not texts["name"]:
        raise InvalidProduct("name must not be empty.", field="name")
    schemas, version = read_metadata(body)
    return ProductDraft(
        external_id=product_id,
        code=code,
        name=texts["name"],
        description=texts["description"],
        is_published=read_flag(body, "published"),
        details=read_details(body),
        mixins=read_object(body, "mixins", field="mixins"),
        mixin_schemas=schemas,
        expected_version=version,
    )


def read_details(body: dict[str, Any]) -> dict[str, Any]:
    details = {}
    for name, kind in DETAILS.items():
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, kind):
            named = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}[kind]
            raise InvalidProduct(f"{name} must be {named}.", field=name)
        if name in ENTRIES:
            entry_kind, entries_named = ENTRIES[name]
            entries: Any = value.values() if isinstance(value, dict) else value
            if not all(isinstance(entry, entry_kind) for entry in entries):
                raise InvalidProduct(f"Each of {name} must be {entries_named}.", field=name)
        details[name] = value
    return details


def read_new_id(body: object) -> str:
    """Return the id that a client chose for a new product, empty when it chose none."""
    chosen = body.get("id") if isinstance(body, dict) else None
    return "" if chosen is None else check_client_id(chosen, field="id")


def product_document(product: Product) -> dict[str, Any]:
    """Return what clients see of the product, as a patch changes it."""
    return {
        "id": product.external_id,
        "code": product.code,
        "name": product.name,
        "description": product.description,
        "published": product.is_published,
        "productType": product.product_type,
        **product.details,
        "mixins": product.mixins,
        "metadata": {
            "createdAt": format_time(product.created_at),
            "modifiedAt": format_time(product.modified_at),
            "version": product.version,
            "mixins": product.mixin_schemas,
        },
    }


class ProductBody(serializers.Serializer):
    code = serializers.CharField(help_text="Unique.")
    name = Translations(help_text="Texts by language; or one text, in the Content-Language.")
    description = Translations(required=False, allow_null=True)
    published = serializers.BooleanField(required=False, allow_null=True)
    productType = serializers.ChoiceField(["BASIC"], required=False, allow_null=True)
    template = FreeObject(required=False, allow_null=True)
    taxClasses = FreeObject(required=False, allow_null=True)
    relatedItems = serializers.ListField(child=FreeObject(), required=False, allow_null=True)
    vendor = FreeObject(required=False, allow_null=True)
    brandId = serializers.CharField(required=False, allow_null=True)
    labelIds = serializers.ListField(child=serializers.CharField(), required=False, allow_null=True)
    weightDependent = serializers.BooleanField(required=False, allow_null=True)
    mixins = FreeObject(required=False, allow_null=True)
    metadata = CategoryMetadataUpdate(required=False, allow_null=True)


class ProductCreation(ProductBody):
    id = serializers.CharField(required=False, allow_null=True, help_text="Generated when absent.")


class ProductBulkUpdate(ProductBody):
    id = serializers.CharField()


class ProductResponse(serializers.Serializer):
    id = serializers.CharField()
    code = serializers.CharField(required=False)
    name = Translations(required=False)
    description = Translations(required=False)
    published = serializers.BooleanField(required=False)
    productType = serializers.ChoiceField(["BASIC"], required=False)
    template = FreeObject(required=False)
    taxClasses = FreeObject(required=False)
    relatedItems = serializers.ListField(child=FreeObject(), required=False)
    vendor = FreeObject(required=False)
    brandId = serializers.CharField(required=False)
    labelIds = serializers.ListField(child=serializers.CharField(), required=False)
    weightDependent = serializers.BooleanField(required=False)
    categoryIds = serializers.ListField(child=serializers.CharField(), required=False)
    mixins = FreeObject(required=False)
    metadata = CategoryMetadata(required=False)


class ProductId(serializers.Serializer):
    id = serializers.CharField()


class ProductSearchBody(serializers.Serializer):
    q = serializers.CharField(required=False, allow_null=True, help_text="As the parameter q of the list.")


class ProductBulkResponse(serializers.Serializer):
    index = serializers.IntegerField(help_text="The entry's place in the body, from 0.")
    id = serializers.CharField(required=False)
    code = serializers.IntegerField()
    status = serializers.CharField()
    message = serializers.CharField(required=False)
