"""Files of products: how a row, a body of the API, is read, merged and exported."""

from collections.abc import Mapping, Sequence

from catalog.bodies import DETAILS as OWN_ATTRIBUTES
from catalog.bodies import ProductBody
from catalog.errors import InvalidProduct
from catalog.models import Product
from catalog.operations.product_sets import delete_products
from catalog.operations.products import OWN_COLUMNS, TARGET
from catalog.representations import PRODUCT
from core.bodies import read_body
from core.errors import InvalidInput
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.handovers import UniqueValues, texts_of
from core.imports.merge_specs import Check, MergeSpec, Unique, plain_values
from core.imports.resources import Export, ImportResource, document_of_files
from core.imports.shadows import Rows
from core.imports.stages import nullable_json
from core.imports.writers import Removal, TableWriter, all_at_once, one_after_another
from core.representation.languages import LanguageContext
from core.tenancy.callers import TenantRecord
from core.text import INVISIBLE

GIVEN = {
    name: type for name, type in TARGET.columns.items() if name in OWN_COLUMNS and name != "product_type"
}
PRODUCTS = MergeSpec(
    name="products",
    target=TARGET,
    given=GIVEN,
    values={
        **plain_values(GIVEN),
        "tenant_id": "%(tenant)s",
        "is_published": "coalesce(given.is_published, stored.is_published, FALSE)",
        "product_type": "'BASIC'",
        "created_at": "%(at)s",
        "modified_at": "%(at)s",
    },
    parts={
        "code": "code",
        "name": "name.*",
        "description": "description.*",
        "published": "is_published",
        **{name: f"details.{name}" for name in OWN_ATTRIBUTES},
        "mixins": "mixins",
        "metadata.mixins": "mixin_schemas",
    },
    unique=Unique(column="code", code="code", noun="code", owner="product"),
    checks=(
        Check(
            code="invalid_product",
            condition="result.code IS NULL",
            message="'code is missing; a new product needs one.'",
        ),
        Check(
            code="invalid_product",
            condition=(
                "NOT EXISTS (SELECT FROM jsonb_each_text(result.name) AS text"
                f" WHERE text.value ~ '[^{INVISIBLE}]')"
            ),
            message="'name is missing; a product needs one in at least one language.'",
        ),
    ),
)
"""A product by id."""


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


def remove_products(tenant: TenantRecord, ids: Sequence[str]) -> set[str]:
    """Delete the products with their assignments; return the ids of those that there were."""
    products = Product.objects.for_tenant(tenant.id).filter(external_id__in=ids)
    known = set(products.values_list("external_id", flat=True))
    delete_products(products=products)
    return known


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
        table=PRODUCTS,
        read=one_after_another(read_row),
        remove=Removal(
            all_at_once(remove_products),
            tables={"catalog_product": Rows.OF_TENANT, "catalog_categoryassignment": Rows.NONE},
        ),
    ),
    export=Export(
        document_of_files(
            PRODUCT, ("id", "code", "name", "description", "published", *OWN_ATTRIBUTES, "mixins")
        ),
        order="product.id",
    ),
)
