"""Events of categories and of the products in them, as the published service has them."""

from catalog.models import HIDDEN_ROOT_ID
from catalog.representations import NUMBERS, metadata, validity
from core.journal.declarations import RecordedAssignments, RecordedDocument, recorded_as
from core.representation.fields import Boolean, Computed, Integer, Json, Localized, Nested, Text, Texts, Time
from core.sql.composition import Sql, integer, param, sql
from events.feed.sources import ALL_LANGUAGES, EventSource, register_event_source
from events.feed.states import assignment_after, document_after, known_id, members, rewriting

ASSIGNMENTS_OF_EVENT = 500  # more than that are several events

PARENT_ID = Text(known_id("parent.external_id", noun="category", key="category.parent_id"))
CATEGORY = {
    "id": Text("category.external_id"),
    "parentId": PARENT_ID,
    "type": Text("category.type"),
    "name": Nested({"name": Localized("category.name", omit_empty=False)}),
    "description": Nested({"description": Localized("category.description")}),
    "slug": Nested({"code": Localized("category.slug")}),
    "ecn": Nested({"externalCategoryNumbers": Texts(NUMBERS)}),
    "validity": validity("category"),
    "position": Nested({"position": Integer("category.position")}),
    "publish": Nested({"published": Boolean("category.is_published")}),
    "mixins": Json("category.mixins", omit_empty=False),
    "metadata": Nested(
        {
            "version": Integer("category.version"),
            "createdAt": Time("category.created_at"),
            "modifiedAt": Time("category.modified_at"),
        }
    ),
}
OWN_MIXINS = "coalesce(category.own_classification_mixins, '[]'::jsonb)"
MIXINS_BEFORE = f"coalesce(change.before -> 'own_classification_mixins', {OWN_MIXINS})"
category = recorded_as("category")
assert isinstance(category, RecordedDocument)
register_event_source(
    EventSource(
        objects=("category",),
        kinds={kind: f"category.{kind}" for kind in ("created", "updated", "deleted")},
        payloads={
            "category.created": {**CATEGORY, "classificationMixins": Computed(OWN_MIXINS)},
            "category.updated": {
                **CATEGORY,
                "classificationMixinsBefore": Computed(MIXINS_BEFORE),
                "classificationMixinsAfter": Computed(OWN_MIXINS),
            },
            "category.deleted": {"id": Text("category.external_id"), "parentId": PARENT_ID},
        },
        tables=sql(
            "change{document} LEFT JOIN catalog_category AS parent ON parent.tenant_id = change.tenant_id"
            " AND parent.id = category.parent_id AND parent.parent_id IS NOT NULL",
            document=document_after(category, "category"),
        ),
        order_key=Sql("'category ' || category.external_id"),
        condition=sql("category.external_id <> {hidden}", hidden=param(HIDDEN_ROOT_ID)),
    )
)

# Products in categories

CATEGORY_ID = known_id("change.external_id", noun="category", key="change.key")
PRODUCT_ID = known_id("product.external_id", noun="product", key="member.key")
REFERENCE = Nested({"id": Text(PRODUCT_ID), "type": Text("'PRODUCT'")})
ASSIGNMENT = Nested(
    {
        "id": Text("assignment.external_id"),
        "categoryId": Text(CATEGORY_ID),
        "createdAt": Time("assignment.created_at"),
        "ref": REFERENCE,
    }
)
PRODUCTS = (
    " LEFT JOIN catalog_product AS product"
    " ON product.tenant_id = change.tenant_id AND product.id = member.key"
)
OF_CATEGORY = sql("'category ' || {id}", id=CATEGORY_ID)
products = recorded_as("category-product")
assert isinstance(products, RecordedAssignments)
register_event_source(
    EventSource(
        objects=("category-product",),
        kinds={"created": "assignment.created"},
        payloads={
            "assignment.created": {
                "categoryId": Text(CATEGORY_ID),
                "assignment": ASSIGNMENT,
                "metadata": Nested({"createdAt": Time("assignment.created_at")}),
            }
        },
        tables=sql(
            "change{rewriting}{members}{assignment}{product}",
            rewriting=rewriting(),
            members=members(),
            assignment=assignment_after(products, "category-product", "assignment"),
            product=Sql(PRODUCTS),
        ),
        order_key=OF_CATEGORY,
        number=Sql("member.key"),
    )
)
TAKEN_OUT = sql(
    " CROSS JOIN LATERAL (SELECT assignment.place / {most} AS part,"
    " jsonb_agg(({assignment})::jsonb ORDER BY assignment.place) AS assignments FROM ("
    "SELECT row_number() OVER (ORDER BY member.key) - 1 AS place, member.key, entry.row ->> 'external_id'"
    " AS external_id, (entry.row ->> 'created_at')::timestamptz AS created_at"
    " FROM (SELECT) AS one{members}) AS assignment"
    " CROSS JOIN LATERAL (SELECT assignment.key) AS member{product} GROUP BY 1) AS taken_out",
    most=integer(ASSIGNMENTS_OF_EVENT),
    assignment=ASSIGNMENT.json(ALL_LANGUAGES),
    members=members(),
    product=Sql(PRODUCTS),
)
register_event_source(
    EventSource(
        objects=("category-product",),
        kinds={"deleted": "assignment.deleted"},
        payloads={
            "assignment.deleted": {
                "categoryId": Text(CATEGORY_ID),
                "assignments": Computed("taken_out.assignments"),
            }
        },
        tables=sql("change{taken_out}", taken_out=TAKEN_OUT),
        order_key=OF_CATEGORY,
        number=Sql("taken_out.part"),
    )
)

# Products

PRODUCT = {
    "id": Text("product.external_id"),
    "code": Text("product.code"),
    "name": Localized("product.name", omit_empty=False),
    "description": Localized("product.description"),
    "productType": Text("product.product_type"),
    "published": Boolean("product.is_published"),
    "metadata": metadata("product"),
}
product = recorded_as("product")
assert isinstance(product, RecordedDocument)
register_event_source(
    EventSource(
        objects=("product",),
        kinds={kind: f"product.{kind}" for kind in ("created", "updated", "deleted")},
        payloads={
            "product.created": PRODUCT,
            "product.updated": PRODUCT,
            "product.deleted": {name: PRODUCT[name] for name in ("id", "code")},
        },
        tables=sql("change{document}", document=document_after(product, "product")),
        order_key=Sql("'product ' || product.external_id"),
    )
)
