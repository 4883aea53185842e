"""Files of products in categories. A row is a body of the API's bulk upsert, and names its category too."""

from collections.abc import Mapping

from catalog.bodies import AssignmentUpsertBody
from catalog.models import CategoryAssignment
from catalog.representations import ASSIGNMENT
from catalog.subtrees import is_category
from core.bodies import Reference, read_body
from core.imports import merge_specs
from core.imports.columns import Column
from core.imports.merge_specs import MergeSpec, OtherName
from core.imports.merge_statements import Mode
from core.imports.other_names import STAND_IN, as_stored, id_as_stored, is_reference, other_name
from core.imports.resources import Export, ImportResource
from core.imports.writers import TableWriter, one_after_another
from core.representation.fields import Nested, Text
from core.representation.representations import Representation
from core.sql.upserts import UpsertTarget
from core.tenancy.callers import TenantRecord
from core.tenancy.identifiers import generate_id

CATEGORY_ASSIGNMENTS = MergeSpec(
    name="category assignments",
    target=UpsertTarget.of(
        CategoryAssignment, "tenant_id", "category_id", "product_id", created_only=("external_id",)
    ),
    given={"external_id": "text", "category": "text", "product": "text", "product_code": "text"},
    values={
        "tenant_id": "%(tenant)s",
        "external_id": "given.external_id",
        "category_id": "category.id",
        "product_id": "product.id",
        "created_at": "%(at)s",
    },
    references=(
        merge_specs.Reference(
            "category", "catalog_category", "category", "category", condition=is_category("category").sql
        ),
        merge_specs.Reference("product", "catalog_product", "product", "product"),
    ),
    other_names=(
        OtherName("product_code", "ref.code", "product", identifier="code", noun="product with the code"),
    ),
    versioned=False,
    scope="category_id",
)
"""A product in a category, by both; `external_id` is kept when the assignment exists already."""


class AssignmentRow(AssignmentUpsertBody, kw_only=True):
    """A product that belongs to a category, which the row names."""

    category_id: Reference


def read_category_assignment(body: Mapping[str, object], tenant: TenantRecord) -> tuple[object, ...]:
    """Return the row as CATEGORY_ASSIGNMENTS takes it; no version is expected, as there are none."""
    reference = body.get("ref")
    code = other_name(reference, "code", instead_of="id") if isinstance(reference, Mapping) else None
    if code and isinstance(reference, Mapping):
        body = {**body, "ref": {**reference, "id": STAND_IN}}
    row = read_body(AssignmentRow, body)
    return (None, generate_id(), row.category_id, None if code else row.ref.id, code)


def key_of(body: Mapping[str, object]) -> Mapping[str, str | None] | None:
    """Return what names the assignment of a refused row; None when a part of it cannot be read."""
    reference = body.get("ref")
    category, name, product = id_as_stored(body.get("categoryId")), "product", None
    if isinstance(reference, Mapping):
        product = id_as_stored(reference.get("id"))
        if product is None:
            name, product = "product_code", as_stored(reference.get("code"))
    if not (is_reference(category) and is_reference(product)):
        return None
    return {"category": category, name: product}


PRODUCTS_IN_CATEGORIES = ImportResource(
    name="category_assignments",
    noun="products in categories",
    columns=(
        Column("categoryId", is_required=True, is_id=True),
        Column("ref.id", is_required=True, is_id=True, note="the product's id", alternative="ref.code"),
        Column("ref.code", note="instead of ref.id", is_exported=False),
        Column("ref.type", note="PRODUCT, or nothing", is_exported=False),
    ),
    writer=TableWriter(
        table=CATEGORY_ASSIGNMENTS, read=one_after_another(read_category_assignment), key_of=key_of
    ),
    export=Export(
        Representation(
            table=ASSIGNMENT.table,
            alias=ASSIGNMENT.alias,
            fields={
                "categoryId": Text("category.external_id", needs=("category",)),
                "ref": Nested(
                    {"id": Text("product.external_id", needs=("product",)), "type": Text("'PRODUCT'")}
                ),
            },
            joins=ASSIGNMENT.joins,
        ),
        order="assignment.category_id, assignment.product_id",
        key=("categoryId", "ref"),
    ),
    modes=(Mode.UPSERT, Mode.INSERT, Mode.REPLACE, Mode.DELETE),
    part_size=1_000_000,
)
