"""What clients read of segments and their assignments."""

from core.json_types import JsonObject
from core.representation.conditions import Equals, Term
from core.representation.fields import (
    Boolean,
    Field,
    Json,
    Localized,
    Nested,
    Text,
    metadata,
    validity,
)
from core.representation.representations import Representation
from core.sql.composition import Sql

ALIASES = {
    "metadataCreatedAt": "metadata.createdAt",
    "metadataModifiedAt": "metadata.modifiedAt",
    "metadataVersion": "metadata.version",
}


VALIDITY_TEXTS = {
    "validity": {"description": "When it counts, both ends included. Absent: always."},
    "validity.from": {"description": "The first instant; absent: no start."},
    "validity.to": {"description": "The last instant; absent: no end."},
}
DOCUMENT_TEXTS: dict[str, JsonObject] = {
    **VALIDITY_TEXTS,
    "mixins": {"description": "Free attributes, as they were written."},
    "metadata": {"description": "What the service knows about the document."},
    "metadata.createdAt": {"description": "When it was created."},
    "metadata.modifiedAt": {"description": "When it was changed last."},
    "metadata.version": {"description": "Grows by 1 with every write; send it back to detect a conflict."},
    "metadata.mixins": {"description": "The address of each mixin's schema, by the mixin's name."},
}


class ItemKind(Text):
    """PRODUCT or CATEGORY. Searched by the column that is filled, so that an index can be used."""

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        if not path and isinstance(term.test, Equals):
            match term.test.value.text:
                case "PRODUCT":
                    return Sql("assignment.product_id IS NOT NULL")
                case "CATEGORY":
                    return Sql("assignment.category_id IS NOT NULL")
        return super().condition(term, path)


SEGMENT = Representation(
    name="Segment",
    table="segments_segment",
    alias="segment",
    fields={
        "id": Text("segment.external_id"),
        "name": Localized("segment.name", omit_empty=False),
        "description": Localized("segment.description"),
        "validity": validity("segment"),
        "status": Text("segment.status"),
        "siteCode": Text("site.code", needs=("site",)),
        "mixins": Json("segment.mixins", omit_empty=False),
        "metadata": metadata("segment"),
    },
    joins={
        "site": "JOIN accounts_site AS site"
        " ON site.tenant_id = segment.tenant_id AND site.id = segment.site_id"
    },
    aliases=ALIASES,
    documented={
        **DOCUMENT_TEXTS,
        "id": {"description": "The segment's id."},
        "name": {"description": "The name by language."},
        "description": {"description": "The description by language."},
        "status": {
            "enum": ["ACTIVE", "INACTIVE"],
            "description": "Only an active segment counts for shoppers, and only within its validity.",
        },
        "siteCode": {"description": "The code of the site that the segment is for."},
    },
)

CUSTOMER = Nested(
    {
        "id": Text("customer.external_id", needs=("customer",)),
        "firstName": Text("customer.first_name", needs=("customer",), omit_empty=True),
        "lastName": Text("customer.last_name", needs=("customer",), omit_empty=True),
        "email": Text("customer.email", needs=("customer",)),
    }
)
LEGAL_ENTITY = Nested(
    {
        "id": Text("legal_entity.external_id", needs=("legal_entity",)),
        "name": Text("legal_entity.name", needs=("legal_entity",)),
    }
)
CUSTOMER_JOIN = (
    "JOIN accounts_customer AS customer"
    " ON customer.tenant_id = assignment.tenant_id AND customer.id = assignment.customer_id"
)

CUSTOMER_ASSIGNMENT = Representation(
    name="CustomerAssignment",
    table="segments_customerassignment",
    alias="assignment",
    fields={
        "customer": CUSTOMER,
        "legalEntity": LEGAL_ENTITY,
        "assignmentType": Text("assignment.assignment_type"),
        "validity": validity("assignment"),
        "mixins": Json("assignment.mixins", omit_empty=False),
        "metadata": metadata("assignment"),
    },
    derived=("customer", "legalEntity"),
    joins={
        "customer": CUSTOMER_JOIN,
        "legal_entity": "LEFT JOIN accounts_legalentity AS legal_entity"
        " ON legal_entity.tenant_id = assignment.tenant_id AND legal_entity.id = assignment.legal_entity_id",
    },
    aliases=ALIASES,
    documented={
        **DOCUMENT_TEXTS,
        "customer": {"description": "The customer who belongs to the segment."},
        "customer.id": {"description": "The customer's number."},
        "customer.firstName": {"description": "The customer's first name."},
        "customer.lastName": {"description": "The customer's last name."},
        "customer.email": {"description": "The customer's e-mail address."},
        "legalEntity": {"description": "The legal entity that the customer acts for; absent for B2C."},
        "legalEntity.id": {"description": "The legal entity's id."},
        "legalEntity.name": {"description": "The legal entity's name."},
        "assignmentType": {
            "enum": ["MANUAL", "AUTOMATIC"],
            "description": "Whether somebody assigned the customer, or the service did.",
        },
    },
)

ITEM: dict[str, Field] = {
    "id": Text("coalesce(product.external_id, category.external_id)", needs=("product", "category")),
    "code": Text("coalesce(product.code, category.code)", needs=("product", "category")),
    "name": Localized(
        "coalesce(product.name, category.name)", needs=("product", "category"), omit_empty=False
    ),
}

ITEM_ASSIGNMENT = Representation(
    name="ItemAssignment",
    table="segments_itemassignment",
    alias="assignment",
    fields={
        "segmentId": Text("segment.external_id", needs=("segment",)),
        "item": Nested(ITEM),
        "type": ItemKind("CASE WHEN assignment.product_id IS NULL THEN 'CATEGORY' ELSE 'PRODUCT' END"),
        "includeSubcategories": Boolean(
            "CASE WHEN assignment.category_id IS NOT NULL THEN assignment.includes_subcategories END"
        ),
        "validity": validity("assignment"),
        "mixins": Json("assignment.mixins", omit_empty=False),
        "metadata": metadata("assignment"),
    },
    derived=("item",),
    joins={
        "segment": "JOIN segments_segment AS segment"
        " ON segment.tenant_id = assignment.tenant_id AND segment.id = assignment.segment_id",
        "product": "LEFT JOIN catalog_product AS product"
        " ON product.tenant_id = assignment.tenant_id AND product.id = assignment.product_id",
        "category": "LEFT JOIN catalog_category AS category"
        " ON category.tenant_id = assignment.tenant_id AND category.id = assignment.category_id",
    },
    aliases=ALIASES,
    documented={
        **DOCUMENT_TEXTS,
        "segmentId": {"description": "The segment's id."},
        "item": {"description": "The product or category, as it is now."},
        "item.id": {"description": "The id of the product or category."},
        "item.code": {"description": "The code of the product or category."},
        "item.name": {"description": "The name by language."},
        "type": {"enum": ["PRODUCT", "CATEGORY"], "description": "What the item is."},
        "includeSubcategories": {
            "description": "Categories only: whether all descendants count too, also those added later."
        },
    },
)
