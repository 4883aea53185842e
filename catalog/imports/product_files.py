"""Files of products. A row is a body of the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from catalog.bodies import DETAILS as OWN_ATTRIBUTES
from catalog.bodies import ProductBody
from catalog.errors import InvalidProduct
from catalog.imports.products import PRODUCTS
from catalog.models import Product
from catalog.operations.product_sets import delete_products
from catalog.representations import PRODUCT as ANSWER
from core.bodies import read_body
from core.errors import InvalidInput
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.handovers import UniqueValues, texts_of
from core.imports.resources import Export, ImportResource, Removal, TableWriter
from core.imports.shadows import Rows
from core.imports.stages import nullable_json
from core.representation.fields import Json, Nested
from core.representation.languages import LanguageContext
from core.representation.representations import Representation
from core.sql.upserts import RowResult
from core.tenancy.callers import TenantRecord

COLUMN_TYPES = {str: ColumnType.TEXT, bool: ColumnType.FLAG}


STAND_IN = "-"
"""Read in place of a code or name that a row lacks, and never written: PRODUCTS keeps the stored one."""


def read_row(body: Mapping[str, object], tenant: TenantRecord) -> tuple[object, ...]:
    """Return the row as PRODUCTS takes it, behind the version that it expects."""
    absent = [name for name in ("code", "name") if not body.get(name)]
    row = read_body(
        ProductBody,
        {**body, **dict.fromkeys(absent, STAND_IN)},
        languages=LanguageContext(None, tenant.default_language),
    )
    if row.external_id is None:
        raise InvalidInput("id is missing.", field="id")
    if row.external_id in Product.reserved_ids:
        raise InvalidProduct(f"The id {row.external_id} is reserved.", field="id")
    values = {name: getattr(row, name) for name in PRODUCTS.given}
    if "code" in absent:
        values["code"] = None
    if "name" in absent:
        values["name"] = {}
    return (
        row.expected_version,
        *(
            nullable_json(value) if PRODUCTS.given[name] == "jsonb" else value
            for name, value in values.items()
        ),
    )


def remove_products(tenant: TenantRecord, ids: Sequence[str], at: datetime) -> list[RowResult]:
    """Delete the products with their assignments."""
    products = Product.objects.for_tenant(tenant.id).filter(external_id__in=ids)
    known = set(products.values_list("external_id", flat=True))
    delete_products(products=products)
    outcomes = []
    for position, name in enumerate(ids):
        outcomes.append(RowResult(position, created=name in known, id=name))
        known.discard(name)
    return outcomes


CODES = UniqueValues(
    values=lambda body: texts_of(body.get("code")),
    holders="SELECT code AS value, external_id AS id FROM catalog_product WHERE tenant_id = %(tenant)s",
)

PRODUCT_FILES = ImportResource(
    name="products",
    noun="products",
    unique=CODES,
    columns=(
        Column("id", is_required=True, is_id=True),
        Column("code", is_required=True, note="unique"),
        Column("name", ColumnType.LOCALIZED, is_required=True),
        Column("description", ColumnType.LOCALIZED),
        Column("published", ColumnType.FLAG, note="as it was when absent, false for a new product"),
        *(Column(name, COLUMN_TYPES.get(kind, ColumnType.JSON)) for name, kind in OWN_ATTRIBUTES.items()),
        Column("mixins", ColumnType.JSON),
        Column("metadata.mixins", ColumnType.JSON),
        EXPECTED_VERSION,
    ),
    writer=TableWriter(
        PRODUCTS,
        read_row,
        remove=Removal(
            remove_products,
            tables={"catalog_product": Rows.OF_TENANT, "catalog_categoryassignment": Rows.NONE},
        ),
    ),
    export=Export(
        Representation(
            table=ANSWER.table,
            alias=ANSWER.alias,
            fields={
                **{
                    name: ANSWER.fields[name]
                    for name in ("id", "code", "name", "description", "published", *OWN_ATTRIBUTES, "mixins")
                },
                "metadata": Nested({"mixins": Json("product.mixin_schemas", omit_empty=False)}),
            },
        ),
        order="product.id",
    ),
)
