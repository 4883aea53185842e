"""What clients send of categories, products and assignments, by the API, files and forms alike."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

import msgspec
from msgspec import Meta, inspect

from catalog.errors import (
    InvalidCategory,
    InvalidCategoryBody,
    InvalidReferenceBody,
    MissingCategoryIds,
)
from catalog.models import Category, Product
from core.bodies import (
    IS_ID,
    MESSAGE,
    Body,
    ClientId,
    Code,
    DocumentBody,
    OptionalReference,
    Reference,
    SchemaMetadata,
    Validity,
    Windowed,
    read_bodies,
    read_body,
)
from core.errors import DomainError
from core.json_types import JsonObject
from core.patches import KEPT_TIMES, apply_patch, metadata_of
from core.representation.languages import LanguageContext, Name, Translations
from core.text import CODE_AS_STORED

LARGEST_POSITION: Final = 2_147_483_647
LONGEST_NUMBER: Final = 128
MOST_NUMBERS: Final = 200
MOST_MIXINS: Final = 100
MOST_TREES: Final = 1_000
MOST_LEVELS: Final = 50
ROOT_PARENTS: Final = (None, "null", "root")
PROTECTED: Final = ("/id", *KEPT_TIMES)  # from patches
LOCALIZED: Final = {"description": "All texts by language, or one text in the Content-Language."}

NewId = Annotated[
    ClientId, Meta(description="Generated when absent; 1 to 128 letters, digits and . _ - : ~ @")
]
ParentId = Annotated[
    ClientId, Meta(description="The category above. Absent, null or `root` makes a root category.")
]


def unsupported(what: str, unknown: Collection[str], allowed: Collection[str], field: str) -> InvalidCategory:
    """Return the error of texts in languages that are not allowed; it begins as the published one."""
    return InvalidCategory(
        f"Category {what} contains unsupported languages: {', '.join(unknown)}; allowed are"
        f" {', '.join(allowed)}",
        field=field,
    )


class CategoryName(Name):
    """The name of a category, in languages of the tenant."""

    @classmethod
    def unsupported(cls, unknown: Collection[str], allowed: Collection[str], field: str) -> InvalidCategory:
        return unsupported("name", unknown, allowed, field)


class CategoryDescription(Translations):
    """The description of a category, in languages of the tenant."""

    @classmethod
    def unsupported(cls, unknown: Collection[str], allowed: Collection[str], field: str) -> InvalidCategory:
        return unsupported("description", unknown, allowed, field)


class CategorySlug(Translations):
    """The part of an address that names a category: without diacritics, in languages of the tenant."""

    max_length: ClassVar[int] = 500

    @classmethod
    def unsupported(cls, unknown: Collection[str], allowed: Collection[str], field: str) -> InvalidCategory:
        return unsupported("slug", unknown, allowed, field)

    def check(self, field: str) -> None:
        for language, text in self.items():
            if text.isascii():
                continue
            for character in text:
                if has_diacritic(character):
                    raise InvalidCategory(
                        f"Category slug contains diacritics: {field}.{language} has '{character}'",
                        field=f"{field}.{language}",
                    )


def has_diacritic(character: str) -> bool:
    """Say whether the character is a letter with a mark, such as é or ø, or a mark to combine with one."""
    if character.isascii():
        return False
    return 0x300 <= ord(character) <= 0x36F or " WITH " in unicodedata.name(character, "")


# The published pattern of names has no blanks, the published example has one; what both share is required.
MixinName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_][^\x00-\x1f]{0,199}$",
        description="The name of the mixin.",
        extra={"message": "must begin with a letter, a digit or _ and have at most 200 characters"},
    ),
]
SchemaUrl = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s/$.?#]\S*$",
        max_length=2_000,
        description="The address of the mixin's JSON Schema.",
        extra={"message": "must be an http or https address of at most 2000 characters"},
    ),
]
Number = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_NUMBER,
        pattern=CODE_AS_STORED,
        extra={MESSAGE: f"must be a text of 1 to {LONGEST_NUMBER} characters", IS_ID: True},
    ),
]


class CatalogDocument(DocumentBody, kw_only=True):
    """A body with free attributes, the schemas of which are addresses."""

    mixins: Annotated[JsonObject | None, Meta(description="Free attributes.")] = None
    metadata: Annotated[
        SchemaMetadata | None, Meta(description="The version that was read, and the schemas of the mixins.")
    ] = None


class OwnClassificationMixin(Body, kw_only=True):
    """Attributes that the products of a category and of those below it have."""

    name: MixinName
    schema_url: SchemaUrl
    required: Annotated[bool | None, Meta(description="Whether products must have it; default false.")] = None

    def __post_init__(self) -> None:
        self.required = bool(self.required)


class CategoryBody(CatalogDocument, Windowed, kw_only=True):
    """A whole category."""

    refused_as = InvalidCategoryBody

    # Members have the names of the columns that they go into. `position` None keeps the position of a stored
    # category, and means last among its siblings when it is new or gets another parent. `type` and
    # `own_classification_mixins` None keep what is stored (STANDARD, none for a new category).
    name: Annotated[CategoryName, Meta(extra_json_schema=LOCALIZED)] = msgspec.field(name="localizedName")
    is_published: Annotated[bool, Meta(description="Whether shoppers can see it.")] = msgspec.field(
        name="published"
    )
    external_id: NewId | None = msgspec.field(name="id", default=None)
    parent: ParentId | None = msgspec.field(name="parentId", default=None)
    type: Annotated[
        Literal["STANDARD", "CLASSIFICATION"] | None,
        Meta(description="Cannot be changed. A CLASSIFICATION category needs a code."),
    ] = None
    description: Annotated[CategoryDescription | None, Meta(extra_json_schema=LOCALIZED)] = msgspec.field(
        name="localizedDescription", default=None
    )
    slug: Annotated[CategorySlug | None, Meta(extra_json_schema=LOCALIZED)] = msgspec.field(
        name="localizedSlug", default=None
    )
    code: Annotated[Code | None, Meta(description="Unique, whatever the case of its letters.")] = None
    numbers: Annotated[
        Annotated[list[Number], Meta(max_length=MOST_NUMBERS)] | None,
        Meta(description="External category numbers, each unique among all categories."),
    ] = msgspec.field(name="ecn", default=None)
    validity: Annotated[Validity | None, Meta(description="When the category is shown.")] = None
    position: Annotated[
        Annotated[int, Meta(ge=0, le=LARGEST_POSITION)] | None,
        Meta(description="The place among the siblings. Absent: last."),
    ] = None
    own_classification_mixins: Annotated[
        Annotated[list[OwnClassificationMixin], Meta(max_length=MOST_MIXINS)] | None,
        Meta(description="Classification mixins; they need a code."),
    ] = None

    def __post_init__(self) -> None:
        self.parent = None if self.parent in ROOT_PARENTS else self.parent
        self.code = self.code or None
        self.description = self.description or CategoryDescription()
        self.slug = self.slug or CategorySlug()
        self.numbers = self.numbers or []
        if len(set(self.numbers)) < len(self.numbers):
            raise ValueError("ecn lists the same number twice")

    def check_publish(self, publish: bool | None) -> None:
        """Raise InvalidCategory when the request's parameter `publish` contradicts the body."""
        if publish is not None and publish != self.is_published:
            raise InvalidCategory(
                "Parameter 'publish' must match 'published' of the request body", field="publish"
            )

    @classmethod
    def document(cls, category: Category) -> JsonObject:
        """Return a category that `LockedTree.find` has read as a body of clients says it.

        Its window is exact to the microsecond, which responses are not.
        """
        ends = {"from": category.valid_from, "to": category.valid_to}
        document = {
            "validity": {end: moment.isoformat() for end, moment in ends.items() if moment},
            "metadata": metadata_of(category),
            "id": category.external_id,
            "type": category.type,
            "localizedName": category.name,
            "localizedDescription": category.description,
            "localizedSlug": category.slug,
            "code": category.code,
            "position": category.position,
            "published": category.is_published,
            "ownClassificationMixins": category.own_classification_mixins,
        }
        if category.mixins is not None:
            document["mixins"] = category.mixins
        if category.stored_parent is not None:
            document["parentId"] = category.stored_parent
        document["ecn"] = category.stored_numbers
        return document

    @classmethod
    def patched(
        cls, category: Category, *, patch: object, languages: LanguageContext, publish: bool | None = None
    ) -> Self:
        """Return what the patch makes of a category that `LockedTree.find` has read."""
        document = apply_patch(cls.document(category), patch, protected=PROTECTED)
        body = read_body(cls, document, languages=languages)
        body.check_publish(publish)
        return body


class ProductDetails(CatalogDocument, kw_only=True):
    """The attributes of a product that are stored as they are sent."""

    template: Annotated[JsonObject | None, Meta(description="The template it was made from.")] = None
    tax_classes: Annotated[dict[str, str] | None, Meta(description="Tax classes by country.")] = None
    related_items: Annotated[list[JsonObject] | None, Meta(description="Related products.")] = None
    vendor: Annotated[JsonObject | None, Meta(description="Who sells it.")] = None
    brand_id: Annotated[str | None, Meta(description="The id of its brand.")] = None
    label_ids: Annotated[list[str] | None, Meta(description="The ids of its labels.")] = None
    weight_dependent: Annotated[bool | None, Meta(description="Whether it is sold by weight.")] = None


class ProductBody(ProductDetails, kw_only=True):
    """A whole product."""

    # Members have the names of the columns that they go into. `is_published` None keeps what is stored
    # (false for a new product).
    code: Annotated[Code, Meta(min_length=1, description="Unique.")]
    name: Annotated[Name, Meta(extra_json_schema=LOCALIZED)]
    external_id: NewId | None = msgspec.field(name="id", default=None)
    description: Annotated[Translations | None, Meta(extra_json_schema=LOCALIZED)] = None
    is_published: Annotated[bool | None, Meta(description="Whether shoppers can see it.")] = msgspec.field(
        name="published", default=None
    )
    product_type: Annotated[Literal["BASIC"] | None, Meta(description="Other types are not kept here.")] = (
        None
    )

    def __post_init__(self) -> None:
        self.description = self.description or Translations()

    @classmethod
    def document(cls, product: Product) -> JsonObject:
        """Return a product as a body of clients says it."""
        return {
            "id": product.external_id,
            "code": product.code,
            "name": product.name,
            "description": product.description,
            "published": product.is_published,
            "productType": product.product_type,
            **product.details,
            **({} if product.mixins is None else {"mixins": product.mixins}),
            "metadata": metadata_of(product),
        }

    @classmethod
    def patched(cls, product: Product, *, patch: object, languages: LanguageContext) -> Self:
        """Return what the patch makes of a stored product."""
        document = apply_patch(cls.document(product), patch, protected=PROTECTED)
        return read_body(cls, document, languages=languages)

    @property
    def details(self) -> JsonObject:
        """The attributes that are stored as they were sent, by their names on the wire."""
        values = ((field.encode_name, getattr(self, field.name)) for field in DETAIL_FIELDS)
        return {name: value for name, value in values if value is not None}


DETAIL_FIELDS: Final = [
    field
    for field in msgspec.structs.fields(ProductDetails)
    if field.name not in CatalogDocument.__struct_fields__
]
_JSON_TYPES: Mapping[type, type] = {
    inspect.DictType: dict,
    inspect.ListType: list,
    inspect.StrType: str,
    inspect.BoolType: bool,
}


def _json_type(described: inspect.Type) -> type:
    """Return the Python type of an optional attribute's JSON."""
    if isinstance(described, inspect.Metadata):
        return _json_type(described.type)
    if isinstance(described, inspect.UnionType):
        [described] = [member for member in described.types if not isinstance(member, inspect.NoneType)]
    return _JSON_TYPES[type(described)]


def _json_types_of_details() -> dict[str, type]:
    described = inspect.type_info(ProductDetails)
    assert isinstance(described, inspect.StructType)
    names = {field.name for field in DETAIL_FIELDS}
    return {field.encode_name: _json_type(field.type) for field in described.fields if field.name in names}


DETAILS: Final[Mapping[str, type]] = _json_types_of_details()
"""The attributes of ProductDetails by their names on the wire, with the Python type of their JSON."""


ReferenceType = Annotated[
    str,
    Meta(
        pattern=re.sub("[A-Z]", lambda letter: f"[{letter[0]}{letter[0].lower()}]", "^PRODUCT$"),
        description="PRODUCT, in any case.",
        extra={"message": "must be PRODUCT"},
    ),
]


class AssignedReference(Body, kw_only=True):
    """What is assigned to a category."""

    id: Annotated[Reference, Meta(description="The id of a product.")]
    type: ReferenceType | None = None


class TypedReference(AssignedReference, kw_only=True):
    """What is assigned to a category, with its type."""

    type: ReferenceType


class AssignmentUpsertBody(Body, kw_only=True):
    """A product that belongs to a category."""

    refused_as = InvalidReferenceBody

    ref: Annotated[AssignedReference, Meta(description="What is assigned.")]


class CategoryAssignmentBody(AssignmentUpsertBody, kw_only=True):
    """A product that is to be assigned to a category."""

    ref: Annotated[TypedReference, Meta(description="What is assigned.")]


def read_assignments(kind: type[AssignmentUpsertBody], values: list[object]) -> list[str | DomainError]:
    """Return the product's id of each entry of a bulk body, or the error that names what is wrong."""
    return [
        read.ref.id if isinstance(read, AssignmentUpsertBody) else read for read in read_bodies(kind, values)
    ]


class TreeSearchBody(Body, kw_only=True):
    """Which trees are searched: those that hold one of these categories."""

    refused_as = InvalidCategoryBody

    category_ids: Annotated[
        list[OptionalReference], Meta(max_length=MOST_TREES, description="Ids of categories.")
    ]


def read_category_ids(value: object) -> list[str]:
    """Return the ids of a search for trees."""
    if not isinstance(value, dict) or value.get("categoryIds") is None:
        raise MissingCategoryIds
    return read_body(TreeSearchBody, value).category_ids


class CreatedId(Body, kw_only=True):
    """What was created."""

    id: Annotated[str, Meta(description="The id that was sent, or a generated one.")]
