"""What clients read of categories, their trees and assignments, and of products."""

from collections.abc import Mapping
from copy import copy

from catalog.bodies import DETAILS
from catalog.subtrees import is_category, is_shown
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.representation.conditions import Exists, IsNull, Missing, Term
from core.representation.fields import (
    Boolean,
    Computed,
    Field,
    Integer,
    Json,
    JsonEntries,
    Languages,
    Localized,
    Nested,
    Text,
    Texts,
    compare,
    metadata,
    refuse_deeper_path,
    validity,
)
from core.representation.representations import Representation
from core.sql.composition import Sql, identifier, param, sql

ALIASES = {
    "metadataCreatedAt": "metadata.createdAt",
    "metadataModifiedAt": "metadata.modifiedAt",
    "metadataVersion": "metadata.version",
}


DESCRIBED: Mapping[str, Mapping[str, object]] = {
    "metadata": {"description": "Its version, its instants, and the addresses of its mixins' schemas."},
    "validity": {"description": "When it is shown."},
    "metadata.createdAt": {"description": "When it was created."},
    "metadata.modifiedAt": {"description": "When it was last changed."},
    "metadata.version": {"description": "Grows by one with every change; send it back to detect conflicts."},
    "metadata.mixins": {
        "description": "The address of each mixin's schema.",
        "additionalProperties": {"type": "string"},
    },
    "mixins": {"description": "Free attributes, returned as they were sent."},
    "validity.from": {"description": "The first instant at which it is shown; absent: no start."},
    "validity.to": {"description": "The last instant at which it is shown; absent: no end."},
}
OWN_MIXIN: Mapping[str, object] = {
    "name": {"type": "string", "description": "The name of the mixin."},
    "schemaUrl": {"type": "string", "description": "The address of the mixin's JSON Schema."},
    "required": {"type": "boolean", "description": "Whether products must have it."},
}
INHERITED_MIXIN: Mapping[str, object] = {
    **OWN_MIXIN,
    "mixinPath": {
        "type": "string",
        "description": "Where products have it: `class_<code of the source>_<name>`.",
    },
    "sourceCategoryId": {"type": "string", "description": "The category itself or one above it."},
}
CATEGORY_DESCRIBED: Mapping[str, Mapping[str, object]] = {
    **DESCRIBED,
    "id": {"description": "The category's id."},
    "parentId": {"description": "The category above. Absent for a root category."},
    "type": {"description": "What the category is for.", "enum": ["STANDARD", "CLASSIFICATION"]},
    "localizedName": {"description": "The name by language."},
    "localizedDescription": {"description": "The description by language."},
    "localizedSlug": {"description": "The part of an address by language, without diacritics."},
    "name": {
        "description": "The name in the tenant's default language.",
        "type": "string",
        "additionalProperties": False,
        "deprecated": True,
    },
    "description": {
        "description": "The description in the tenant's default language.",
        "type": "string",
        "additionalProperties": False,
        "deprecated": True,
    },
    "code": {"description": "Unique, whatever the case of its letters."},
    "ecn": {
        "description": "External category numbers.",
        "type": "array",
        "items": {"type": "string"},
    },
    "position": {"description": "The position among its siblings, which are sorted by it, then by name."},
    "published": {"description": "Whether shoppers can see it."},
    "supercategoriesIds": {"description": "The categories above, from the root down to the parent."},
    "ownClassificationMixins": {
        "description": "Attributes that products of this category and of those below it have.",
        "items": {"type": "object", "properties": dict(OWN_MIXIN)},
    },
    "classificationMixins": {
        "description": "The classification mixins of the category and of those above it.",
        "items": {"type": "object", "properties": dict(INHERITED_MIXIN)},
    },
    "media": {"description": "Always empty.", "items": {"type": "object", "additionalProperties": True}},
}


def described(fields: Mapping[str, object], meanings: Mapping[str, Mapping[str, object]]) -> JsonObject:
    """Return the descriptions of these fields and of what is inside them."""
    return {path: meaning for path, meaning in meanings.items() if path.partition(".")[0] in fields}


class InDefaultLanguage(Localized):
    """A deprecated copy of a localized field: its text in the tenant's default language."""

    def in_default(self, languages: Languages) -> Sql:
        return sql(
            "{translations} ->> {language}", translations=self.expression, language=param(languages.default)
        )

    def json(self, languages: Languages) -> Sql:
        return sql("to_json({text})::text", text=self.in_default(languages))

    def sort_key(self, path: tuple[str, ...], languages: Languages) -> tuple[Sql, str]:
        raise InvalidInput("A deprecated field cannot be sorted by.", field="sort")


class RequiredInDefaultLanguage(InDefaultLanguage):
    """The copy where the contract requires one: empty without a text in the tenant's default language."""

    def json(self, languages: Languages) -> Sql:
        return sql("to_json(coalesce({text}, ''))::text", text=self.in_default(languages))


DETAIL_KINDS: Mapping[type, type[Json]] = {list: JsonEntries, dict: Json, str: Json, bool: Json}

# The category and all above it but the hidden root, found over the parent column: the way up is short.
LINE = f"""LEFT JOIN LATERAL (
    WITH RECURSIVE line (parent_id, external_id, code, mixins, level) AS (
        SELECT category.parent_id, category.external_id::text, category.code::text,
            category.own_classification_mixins, category.level
        UNION ALL
        SELECT above.parent_id, above.external_id, above.code, above.own_classification_mixins, above.level
        FROM line JOIN catalog_category AS above
            ON above.id = line.parent_id AND {is_category("above").sql}
    )
    SELECT
        coalesce(
            array_agg(line.external_id ORDER BY line.level) FILTER (WHERE line.level < category.level), '{{}}'
        ) AS supercategories,
        (
            SELECT jsonb_agg(
                jsonb_build_object(
                    'name', mixin -> 'name',
                    'mixinPath', 'class_' || line.code || '_' || (mixin ->> 'name'),
                    'schemaUrl', mixin -> 'schemaUrl',
                    'required', coalesce(mixin -> 'required', 'false'),
                    'sourceCategoryId', line.external_id
                ) ORDER BY line.level, place
            )
            FROM line, jsonb_array_elements(line.mixins) WITH ORDINALITY AS own (mixin, place)
        ) AS classification
    FROM line
) AS line ON TRUE"""

NUMBERS = (
    "coalesce((SELECT array_agg(number.value::text ORDER BY number.rank, number.id)"
    " FROM catalog_categorynumber AS number"
    " WHERE number.tenant_id = category.tenant_id AND number.category_id = category.id), '{}')"
)
PARENT_JOIN = (
    f"LEFT JOIN catalog_category AS parent ON parent.id = category.parent_id AND {is_category('parent').sql}"
)

CATEGORY_FIELDS: dict[str, Field] = {
    "id": Text("category.external_id"),
    "parentId": Text("parent.external_id", needs=("parent",)),
    "type": Text("category.type"),
    "localizedName": Localized("category.name", omit_empty=False),
    "localizedDescription": Localized("category.description"),
    "localizedSlug": Localized("category.slug"),
    "name": InDefaultLanguage("category.name"),
    "description": InDefaultLanguage("category.description"),
    "code": Text("category.code"),
    "ecn": Texts(NUMBERS),
    "validity": validity("category"),
    "position": Integer("category.position"),
    "published": Boolean("category.is_published"),
    "supercategoriesIds": Texts("line.supercategories", needs=("line",)),
    "ownClassificationMixins": JsonEntries("category.own_classification_mixins"),
    "classificationMixins": JsonEntries("line.classification", needs=("line",)),
    "mixins": Json("category.mixins", omit_empty=False),
    "metadata": metadata("category"),
    "media": JsonEntries("'[]'::jsonb", omit_empty=False),
}

CATEGORY = Representation(
    table="catalog_category",
    alias="category",
    fields=CATEGORY_FIELDS,
    derived=("parentId", "supercategoriesIds", "classificationMixins"),
    joins={"parent": PARENT_JOIN, "line": LINE},
    aliases=ALIASES,
    name="Category",
    documented=CATEGORY_DESCRIBED,
)
CATEGORY_OF_REFERENCE = Representation(
    table="catalog_category",
    alias="category",
    fields={name: field for name, field in CATEGORY_FIELDS.items() if name != "supercategoriesIds"},
    joins={"parent": PARENT_JOIN, "line": LINE},
    aliases=ALIASES,
)

ASSIGNMENT = Representation(
    table="catalog_categoryassignment",
    alias="assignment",
    fields={
        "id": Text("assignment.external_id"),
        "categoryId": Text("category.external_id", needs=("category",)),
        "ref": Nested(
            {
                "id": Text("product.external_id", needs=("product",)),
                "type": Text("'PRODUCT'::text"),
                "localizedName": Localized("product.name", needs=("product",), omit_empty=False),
            }
        ),
    },
    joins={
        "category": "JOIN catalog_category AS category"
        " ON category.tenant_id = assignment.tenant_id AND category.id = assignment.category_id",
        "product": "JOIN catalog_product AS product"
        " ON product.tenant_id = assignment.tenant_id AND product.id = assignment.product_id",
    },
    name="CategoryAssignment",
    documented={
        "id": {"description": "The assignment's id."},
        "categoryId": {"description": "The category."},
        "ref": {"description": "What is assigned."},
        "ref.id": {"description": "The product's id."},
        "ref.type": {"description": "What is assigned.", "enum": ["PRODUCT"]},
        "ref.localizedName": {"description": "The product's present name by language."},
    },
)

# Looked up in one object of all numbers, which the statement of a whole tree makes once: a join could be
# planned as a loop over both.
NUMBERS_IN_TREE = "coalesce((SELECT of_category FROM numbers) -> category.id::text, '[]'::jsonb)"

TREE_FIELDS: dict[str, Field] = {
    "id": Text("category.external_id"),
    "parentId": Text("parent.external_id"),
    "localizedName": Localized("category.name", omit_empty=False),
    "localizedDescription": Localized("category.description"),
    "localizedSlug": Localized("category.slug"),
    "name": RequiredInDefaultLanguage("category.name"),
    "description": InDefaultLanguage("category.description"),
    "code": Text("category.code"),
    "validity": validity("category"),
    "position": Integer("category.position"),
    "published": Boolean("category.is_published"),
    "ecn": Computed(NUMBERS_IN_TREE),
}
DEPRECATED_TREE_FIELDS: dict[str, Field] = {
    "id": Text("category.external_id"),
    "parentId": Text("coalesce(parent.external_id, 'root')"),
    "name": InDefaultLanguage("category.name"),
    "description": InDefaultLanguage("category.description"),
    "code": Text("category.code"),
    "position": Integer("category.position"),
    "published": Boolean("category.is_published"),
    "ecn": Computed(NUMBERS_IN_TREE),
}

SUBCATEGORIES = {"subcategories": Computed("'[]'::jsonb")}
CATEGORY_TREE = Representation(
    table="catalog_category",
    alias="category",
    fields={**TREE_FIELDS, **SUBCATEGORIES},
    name="CategoryTree",
    documented={
        **described(TREE_FIELDS, CATEGORY_DESCRIBED),
        "subcategories": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/CategoryTree"},
            "description": "The categories directly below.",
        },
    },
)
"""A tree as the OpenAPI document describes it; `api.trees` nests the nodes."""

DEPRECATED_TREE = Representation(
    table="catalog_category",
    alias="category",
    fields={**DEPRECATED_TREE_FIELDS, **SUBCATEGORIES},
    name="DeprecatedCategoryTree",
    documented={
        **described(DEPRECATED_TREE_FIELDS, CATEGORY_DESCRIBED),
        "id": {"description": "The category's id; `root` for the object that holds all root categories."},
        "parentId": {"description": "The category above, `root` for a root category."},
        "subcategories": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/DeprecatedCategoryTree"},
            "description": "The categories directly below.",
        },
    },
)


class RelatedIds(Texts):
    """The ids of what a product is related to. A search begins at these, which an index finds.

    `source` is an item of a FROM whose rows relate products to ids: `product` and `tenant` are its columns of
    their keys, `id` the id, `position` what sorts them. `condition` narrows the rows.
    """

    def __init__(
        self,
        source: str,
        *,
        tenant: str,
        product: str,
        id: str,
        position: str,
        condition: Sql,
    ) -> None:
        self.slots = {
            "source": Sql(source),
            "tenant": identifier(*tenant.split(".")),
            "product": identifier(*product.split(".")),
            "id": identifier(*id.split(".")),
            "position": identifier(*position.split(".")),
            "condition": condition,
        }
        self.tenant_id: int | None = None
        self.needs = ()
        self.expression = self.filled(
            "coalesce((SELECT array_agg({id}::text ORDER BY {position}) FROM {source}"
            " WHERE {tenant} = product.tenant_id AND {product} = product.id AND {condition}), '{{}}')",
        )

    def filled(self, template: str, **more: Sql) -> Sql:
        """Fill the slots that the template has."""
        slots = {**self.slots, **more}
        return sql(template, **{name: piece for name, piece in slots.items() if f"{{{name}}}" in template})

    def of_tenant(self, tenant_id: int) -> "RelatedIds":
        """Return the field for searches among the products of one tenant."""
        bound = copy(self)
        bound.tenant_id = tenant_id
        return bound

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        refuse_deeper_path(term, path)
        related = (
            "EXISTS (SELECT FROM {source}"
            " WHERE {tenant} = product.tenant_id AND {product} = product.id AND {condition}"
        )
        match term.test:
            case Exists():
                return self.filled(related + ")")
            case IsNull() | Missing():
                return self.filled("NOT " + related + ")")
        passes = compare(self.slots["id"], "text", term, lambda value: value.text)
        if self.tenant_id is None:
            return self.filled(related + " AND {passes})", passes=passes)
        # An array, so that the planner begins with it: it would walk through all products for a page.
        return self.filled(
            "product.id = ANY(ARRAY(SELECT {product} FROM {source}"
            " WHERE {tenant} = {tenant_key} AND {product} IS NOT NULL AND {condition} AND {passes}))",
            tenant_key=param(self.tenant_id),
            passes=passes,
        )


def products_of(representation: Representation, tenant_id: int) -> Representation:
    """Return the representation of products for searches among those of one tenant."""
    bound = copy(representation)
    bound.fields = {
        name: field.of_tenant(tenant_id) if isinstance(field, RelatedIds) else field
        for name, field in representation.fields.items()
    }
    bound.remembered_search = bound.build_search  # type: ignore[assignment]
    return bound


def category_ids(condition: Sql) -> RelatedIds:
    """Return the field of the categories of a product that meet the condition on `placed_in`."""
    return RelatedIds(
        "catalog_categoryassignment AS placement JOIN catalog_category AS placed_in"
        " ON placed_in.tenant_id = placement.tenant_id AND placed_in.id = placement.category_id",
        tenant="placement.tenant_id",
        product="placement.product_id",
        id="placed_in.external_id",
        position="placement.id",
        condition=condition,
    )


DERIVED = ("categoryIds", "customerSegmentIds")
"""Assignments change these while the version of the product stays."""

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
        **{name: DETAIL_KINDS[kind](f"(product.details -> '{name}')") for name, kind in DETAILS.items()},
        "categoryIds": category_ids(Sql("TRUE")),
        "mixins": Json("product.mixins", omit_empty=False),
        "metadata": metadata("product"),
    },
    aliases=ALIASES,
    name="Product",
    derived=DERIVED,
    documented={
        **DESCRIBED,
        "id": {"description": "The product's id."},
        "code": {"description": "Unique."},
        "name": {"description": "The name by language."},
        "description": {"description": "The description by language."},
        "published": {"description": "Whether shoppers can see it."},
        "productType": {"description": "The kind of product.", "enum": ["BASIC"]},
        "template": {"description": "The template that the product was made from."},
        "taxClasses": {
            "description": "The tax class by country.",
            "additionalProperties": {"type": "string"},
        },
        "relatedItems": {
            "description": "Related products.",
            "items": {"type": "object", "additionalProperties": True},
        },
        "vendor": {"description": "Who sells it."},
        "brandId": {"description": "The id of its brand.", "type": "string", "additionalProperties": False},
        "labelIds": {"description": "The ids of its labels.", "items": {"type": "string"}},
        "weightDependent": {
            "description": "Whether it is sold by weight.",
            "type": "boolean",
            "additionalProperties": False,
        },
        "categoryIds": {"description": "The categories that the product is assigned to."},
    },
)


def in_shown_categories() -> Representation:
    """Return what those see of a product who may not read unpublished categories."""
    return Representation(
        table=PRODUCT.table,
        alias=PRODUCT.alias,
        fields={**PRODUCT.fields, "categoryIds": category_ids(is_shown(Sql("placed_in.id")))},
        aliases=ALIASES,
        derived=DERIVED,
    )


PRODUCT_FOR_SHOPPERS = in_shown_categories()
"""Without what other apps add."""

PRODUCT_IN_SHOWN_CATEGORIES = in_shown_categories()
"""With what other apps add."""
