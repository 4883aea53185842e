"""Files of products. A row is a body of the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from catalog.errors import InvalidProduct
from catalog.imports.products import PRODUCTS
from catalog.models import Product
from catalog.operations.product_sets import delete_products
from catalog.operations.products import RESERVED_IDS
from catalog.products import DETAILS as OWN_ATTRIBUTES
from catalog.products import PRODUCT as ANSWER
from catalog.products import read_product
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.resources import Export, ImportKind, Removal, TableWriter
from core.imports.shadows import Rows
from core.imports.stages import json_text
from core.representation.fields import Json, Nested
from core.representation.representations import Representation
from core.sql.upserts import RowResult
from core.tenancy.callers import TenantRecord
from core.tenancy.identifiers import check_client_id

COLUMN_TYPES = {str: ColumnType.TEXT, bool: ColumnType.FLAG}


STAND_IN = "-"
"""Read in place of what a row lacks, and never written: PRODUCTS takes it from the stored row or refuses."""


def read_row(body: Mapping[str, Any], tenant: TenantRecord) -> tuple[Any, ...]:
    """Return the row as PRODUCTS takes it, behind the version that it expects."""
    product_id = check_client_id(body.get("id"), field="id")
    if product_id in RESERVED_IDS:
        raise InvalidProduct(f"The id {product_id} is reserved.", field="id")
    has_code, has_name = body.get("code") is not None, bool(body.get("name"))
    whole = dict(body)
    if not has_code:
        whole["code"] = STAND_IN
    if not has_name:
        whole["name"] = STAND_IN
    draft = read_product(
        whole, content_language=None, default_language=tenant.default_language, product_id=product_id
    )
    return (
        draft.expected_version,
        draft.external_id,
        draft.code if has_code else None,
        json_text(draft.name if has_name else {}),
        json_text(draft.description),
        draft.is_published,
        json_text(draft.details),
        json_text(draft.mixins),
        json_text(draft.mixin_schemas),
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


PRODUCT_FILES = ImportKind(
    name="products",
    noun="products",
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
                "metadata": Nested({"mixins": Json("product.mixin_schemas")}),
            },
        ),
        order="product.id",
    ),
)
