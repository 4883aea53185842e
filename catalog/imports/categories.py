"""Files of categories. A row is a body of the API; rows come in any order, children before parents too."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from catalog.bodies import CategoryBody
from catalog.imports.category_paths import NAMED_BY_PATH, located
from catalog.models import Category, CategoryNumber
from catalog.operations.categories import OWN_COLUMNS, delete_categories_only, own_values
from catalog.operations.category_imports import CODE, NUMBER, id_of, upsert_categories_in_bulk
from catalog.representations import CATEGORY
from catalog.subtrees import is_category
from core.bodies import read_body
from core.errors import InvalidInput
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.exporting import stored_bodies
from core.imports.handovers import ANYWHERE, UniqueValues, texts_of
from core.imports.resources import Export, ImportResource, document_of_files
from core.imports.shadows import Rows
from core.imports.writers import Removal, UpsertWriter, all_at_once
from core.representation.languages import LanguageContext
from core.sql.locks import Lock, take_lock
from core.sql.upserts import RowResult
from core.tenancy.callers import TenantRecord

COMPARED = ("pk", "parent__parent_id", "parent__external_id", *OWN_COLUMNS)


def changed_categories(*, tenant_id: int, rows: Sequence[CategoryBody]) -> list[CategoryBody]:
    """Return the rows that are new or differ from what is stored, in two statements.

    A row without a position never differs in position; a row that expects a version always differs, so that
    the upsert checks it.
    """
    named = Category.objects.filter(tenant=tenant_id, external_id__in=[row.external_id for row in rows])
    stored = {known["external_id"]: known for known in named.order_by().values(*COMPARED)}
    numbers: dict[int, list[str]] = {}
    for category_id, value in (
        CategoryNumber.objects.filter(
            tenant=tenant_id, category__in=[known["pk"] for known in stored.values()]
        )
        .order_by("rank", "id")
        .values_list("category_id", "value")
    ):
        numbers.setdefault(category_id, []).append(value)
    return [
        row
        for row in rows
        if row.expected_version is not None
        or row.external_id not in stored
        or differs(row, stored[row.external_id], numbers.get(stored[row.external_id]["pk"], []))
    ]


def differs(row: CategoryBody, stored: Mapping[str, object], numbers: Sequence[str]) -> bool:
    """Say whether writing the row would change the stored category."""
    is_root = stored["parent__parent_id"] is None  # the parent is the tenant's hidden root
    parent_id = None if is_root else stored["parent__external_id"]
    if parent_id != row.parent or list(numbers) != row.numbers:
        return True
    written = own_values(row)
    written["own_classification_mixins"] = written["own_classification_mixins"] or []
    kept = [name for name in ("type", "position") if written[name] is None]
    return any(stored[name] != value for name, value in written.items() if name not in kept)


EXPORTED = (
    "id",
    "parentId",
    "type",
    "localizedName",
    "localizedDescription",
    "localizedSlug",
    "code",
    "ecn",
    "validity",
    "position",
    "published",
    "ownClassificationMixins",
    "mixins",
)

TABLES = {"catalog_category": Rows.OF_TENANT, "catalog_categorynumber": Rows.OF_TENANT}

COLUMNS = (
    Column("id", is_required=True, is_id=True),
    Column("parentId", is_id=True, note="stored, or anywhere in the same batch; empty for a root category"),
    Column("parentPath", note="instead of parentId: names from the root down, A > B > C", is_exported=False),
    Column("type", note="STANDARD or CLASSIFICATION"),
    Column("localizedName", ColumnType.LOCALIZED, is_required=True, alternative="path"),
    Column(
        "path",
        ColumnType.LOCALIZED,
        note="instead of parentId and localizedName: names from the root down to this category, A > B > C",
        is_exported=False,
    ),
    Column("localizedDescription", ColumnType.LOCALIZED),
    Column("localizedSlug", ColumnType.LOCALIZED),
    Column("code", note="unique whatever its case"),
    Column("ecn", ColumnType.LIST, note="external numbers, unique"),
    Column("validity.from", ColumnType.TIME),
    Column("validity.to", ColumnType.TIME),
    Column("position", ColumnType.WHOLE, note="as it was when absent, last for a new category"),
    Column("published", ColumnType.FLAG, is_required=True),
    Column("ownClassificationMixins", ColumnType.JSON),
    Column("mixins", ColumnType.JSON),
    Column("metadata.mixins", ColumnType.JSON),
    EXPECTED_VERSION,
)

EXPORT = Export(
    document_of_files(CATEGORY, EXPORTED),
    order="category.lft",
    condition=is_category("category").sql,
)


def read_row(body: Mapping[str, object], tenant: TenantRecord) -> CategoryBody:
    languages = LanguageContext(None, tenant.default_language, allowed=tenant.languages)
    row = read_body(CategoryBody, body, languages=languages)
    if row.external_id is None:
        raise InvalidInput("id is missing.", field="id")
    return row


def existing_ids(tenant: TenantRecord, ids: Sequence[str]) -> set[str]:
    categories = Category.objects.filter(tenant=tenant.id, external_id__in=ids)
    return set(categories.values_list("external_id", flat=True))


def write_categories(
    tenant: TenantRecord, rows: Sequence[CategoryBody], at: datetime, confirm: Callable[[], None]
) -> list[RowResult]:
    return upsert_categories_in_bulk(tenant_id=tenant.id, rows=rows, at=at, confirm=confirm)


CODES_AND_NUMBERS = UniqueValues(
    values=lambda body: [
        *(f"{CODE}{code}" for code in texts_of(body.get("code"))),
        *(f"{NUMBER}{number}" for number in texts_of(body.get("ecn"))),
    ],
    holders=(
        f"SELECT '{CODE}' || code AS value, external_id AS id FROM catalog_category"
        " WHERE tenant_id = %(tenant)s AND code IS NOT NULL"
        f" UNION ALL SELECT '{NUMBER}' || number.value, category.external_id"
        " FROM catalog_categorynumber AS number JOIN catalog_category AS category"
        " ON category.id = number.category_id WHERE number.tenant_id = %(tenant)s"
    ),
    above=lambda body: (
        ANYWHERE if NAMED_BY_PATH & body.keys() else next(iter(texts_of(body.get("parentId"))), None)
    ),
)

CATEGORY_FILES = ImportResource(
    name="categories",
    noun="categories",
    unique=CODES_AND_NUMBERS,
    columns=COLUMNS,
    writer=UpsertWriter(
        read=read_row,
        identify=id_of,
        columns=COLUMNS,
        stored=lambda tenant, ids: stored_bodies(EXPORT, tenant, ids),
        hold=lambda tenant, ids: take_lock(Lock.CATEGORY_TREE, tenant.id),
        changed=lambda tenant, rows, stored: changed_categories(tenant_id=tenant.id, rows=rows),
        existing=existing_ids,
        upsert=write_categories,
        tables=TABLES,
        locate=located,
        remove=Removal(  # what is below the categories becomes root categories
            all_at_once(lambda tenant, ids: delete_categories_only(tenant_id=tenant.id, external_ids=ids)),
            tables={**TABLES, "catalog_categoryassignment": Rows.NONE},
        ),
    ),
    export=EXPORT,
    plans_whole_file=True,
    batch_size=5_000,
)
