"""What clients read of categories and assignments."""

from core.errors import InvalidInput
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
    Time,
)
from core.representation.representations import Representation
from core.sql.composition import Sql, param, sql

ALIASES = {
    "metadataCreatedAt": "metadata.createdAt",
    "metadataModifiedAt": "metadata.modifiedAt",
    "metadataVersion": "metadata.version",
}


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


def validity(alias: str) -> Nested:
    return Nested({"from": Time(f"{alias}.valid_from"), "to": Time(f"{alias}.valid_to")})


def metadata(alias: str) -> Nested:
    return Nested(
        {
            "createdAt": Time(f"{alias}.created_at"),
            "modifiedAt": Time(f"{alias}.modified_at"),
            "version": Integer(f"{alias}.version"),
            "mixins": Json(f"{alias}.mixin_schemas"),
        }
    )


# The category and all above it but the hidden root, found over the parent column: the way up is short.
LINE = """LEFT JOIN LATERAL (
    WITH RECURSIVE line (parent_id, external_id, code, mixins, level) AS (
        SELECT category.parent_id, category.external_id::text, category.code::text,
            category.own_classification_mixins, category.level
        UNION ALL
        SELECT above.parent_id, above.external_id, above.code, above.own_classification_mixins, above.level
        FROM line JOIN catalog_category AS above ON above.id = line.parent_id AND above.parent_id IS NOT NULL
    )
    SELECT
        coalesce(
            array_agg(line.external_id ORDER BY line.level) FILTER (WHERE line.level < category.level), '{}'
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
    "LEFT JOIN catalog_category AS parent ON parent.id = category.parent_id AND parent.parent_id IS NOT NULL"
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
    "mixins": Json("category.mixins"),
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
