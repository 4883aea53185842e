"""Writing products. Several products are always locked and written in key order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.identity.scopes import PRODUCT_PUBLISH, PRODUCT_UNPUBLISH
from catalog.bodies import ProductBody
from catalog.errors import InvalidProduct, ProductCodeTaken, ProductExists, ProductNotFound
from catalog.models import Product
from catalog.operations.categories import ANY_PUBLICATION, Publication
from core.errors import DomainError
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.integrity import translate_integrity_errors
from core.sql.upserts import BatchPlan, RowResult, UpsertTarget, insert_rows, upsert_rows
from core.tenancy.documents import check_version
from core.tenancy.identifiers import generate_id
from core.unique_claims import Claim, refused_claims

ATTEMPTS = 3
"""How often a batch is decided on when other writers take codes of it meanwhile."""

TARGET = UpsertTarget.of(Product, "tenant_id", "external_id", created_only=("product_type",))
OWN_COLUMNS = tuple(name for name in TARGET.columns if hasattr(ProductBody, name))
"""The columns that are written from the member of a body that has their name."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a write needs to know of a stored product."""

    id: int
    version: int
    is_published: bool


def create_product(
    *, tenant_id: int, body: ProductBody, at: datetime, publication: Publication = ANY_PUBLICATION
) -> str:
    """Store a new product and return its id. Its version is 1.

    Raises ProductExists, ProductCodeTaken, InvalidProduct, and MissingScope when it is to be published and
    the writer may not.
    """
    return _only(
        write_products_in_bulk(
            tenant_id=tenant_id, bodies=[body], at=at, may_exist=False, publication=publication
        )
    ).id


def upsert_product(
    *, tenant_id: int, body: ProductBody, at: datetime, publication: Publication = ANY_PUBLICATION
) -> bool:
    """Replace the product or create it; say whether it was created.

    Raises VersionConflict, ProductCodeTaken, InvalidProduct and MissingScope.
    """
    return _only(
        write_products_in_bulk(
            tenant_id=tenant_id, bodies=[body], at=at, may_exist=True, publication=publication
        )
    ).created


def locked_version(*, tenant_id: int, product_id: str) -> int | None:
    """Lock the product until commit and return its version; None when there is none."""
    product = Product.objects.select_for_update().filter(tenant=tenant_id, external_id=product_id)
    return product.values_list("version", flat=True).first()


@transaction.atomic
def edit_product(
    *,
    tenant_id: int,
    product_id: str,
    edit: Callable[[Product], ProductBody],
    at: datetime,
    publication: Publication = ANY_PUBLICATION,
) -> None:
    """Change the product to what `edit` makes of the stored one, which is locked meanwhile.

    Raises ProductNotFound and what `upsert_product` raises.
    """
    products = Product.objects.select_for_update(no_key=True)
    product = products.filter(tenant=tenant_id, external_id=product_id).first()
    if product is None:
        raise ProductNotFound(product_id)
    body = edit(product)
    check_version(product, body.expected_version)
    upsert_product(tenant_id=tenant_id, body=body, at=at, publication=publication)


@transaction.atomic
def write_products_in_bulk(
    *,
    tenant_id: int,
    bodies: Sequence[ProductBody | DomainError],
    at: datetime,
    may_exist: bool,
    publication: Publication = ANY_PUBLICATION,
) -> list[RowResult]:
    """Create the products, or replace those that `may_exist`; report every row, in order.

    A row is a body, or the error that reading it gave. A refused row spoils no other; the same id twice
    acts in order. Codes may change hands within the batch: what is stored in the end decides. The number of
    statements does not depend on the number of rows. Raises ProductCodeTaken only when other writers take
    codes of the batch again and again while it is written.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _write_products(tenant_id, bodies, at, may_exist=may_exist, publication=publication)
        except ProductCodeTaken:
            continue  # another writer took a code meanwhile; a second look tells which row that refuses
    return _write_products(tenant_id, bodies, at, may_exist=may_exist, publication=publication)


def _write_products(
    tenant_id: int,
    bodies: Sequence[ProductBody | DomainError],
    at: datetime,
    *,
    may_exist: bool,
    publication: Publication,
) -> list[RowResult]:
    """Decide on every row and write those accepted; raise ProductCodeTaken when a code is taken meanwhile."""
    named = [
        (row, row.external_id or generate_id()) if isinstance(row, ProductBody) else row for row in bodies
    ]
    rows = [row for row in named if not isinstance(row, DomainError)]
    codes = {at: row.code for at, row in enumerate(bodies) if isinstance(row, ProductBody)}
    stored = _lock_products(tenant_id, [product_id for _, product_id in rows])
    holders = _holders_of_codes(tenant_id, list(codes.values()))
    taken: dict[int, DomainError] = {}
    while True:
        plan, published = _planned(tenant_id, named, stored, taken, may_exist, publication)
        accepted = [result for result in plan.results if result.error is None]
        claims = [Claim(result.id, [codes[result.position]]) for result in accepted]
        if not (refused := refused_claims(claims, holders)):
            break
        for index, (_, code) in refused.items():
            taken[accepted[index].position] = ProductCodeTaken(code)
    claimants = {row.code: key[1] for key, row in plan.rows.items()}
    given_up = [holder for code, holder in holders.items() if claimants.get(code, holder) != holder]
    values = {key: _values(key, row, published[key[1]], at) for key, row in plan.rows.items()}
    with translate_integrity_errors({"product_code_unique": ProductCodeTaken("")}):
        _release_codes([stored[product_id].id for product_id in given_up])
        if may_exist:
            plan.record(upsert_rows(TARGET, ((values[key], plan.writes[key]) for key in values)))
        else:
            _insert(plan, values)
    return plan.results


def _planned(
    tenant_id: int,
    rows: Sequence[tuple[ProductBody, str] | DomainError],
    stored: Mapping[str, Stored],
    taken: Mapping[int, DomainError],
    may_exist: bool,
    publication: Publication,
) -> tuple[BatchPlan[tuple[int, str], ProductBody], dict[str, bool]]:
    """Return the writes, and which products will be published. `taken` are rows refused for their codes."""
    published = {product_id: product.is_published for product_id, product in stored.items()}
    plan: BatchPlan[tuple[int, str], ProductBody] = BatchPlan()
    for position, named in enumerate(rows):
        if isinstance(named, DomainError):
            plan.reject(position, named)
            continue
        row, product_id = named
        was_published = may_exist and published.get(product_id, False)
        will_be_published = was_published if row.is_published is None else row.is_published
        error: DomainError | None = publication.refusal(
            was_published, will_be_published, publish=PRODUCT_PUBLISH, unpublish=PRODUCT_UNPUBLISH
        )
        error = error or taken.get(position)
        if error is None:
            error = _refusal(product_id, exists=product_id in published, may_exist=may_exist)
        if error:
            plan.reject(position, error, id=product_id)
            continue
        known = stored.get(product_id)
        plan.add(
            position,
            (tenant_id, product_id),
            row,
            stored_version=known.version if known else None,
            expected_version=row.expected_version,
            id=product_id,
        )
        if plan.results[-1].error is None:
            published[product_id] = will_be_published
    return plan, published


def _release_codes(keys: Sequence[int]) -> None:
    """Take their codes from products that give them to others, which would not be unique in between."""
    if keys:
        execute(sql("UPDATE catalog_product SET code = NULL WHERE id = ANY({keys})", keys=param(list(keys))))


def _insert(
    plan: BatchPlan[tuple[int, str], ProductBody], values: Mapping[tuple[int, str], list[object]]
) -> None:
    """Insert the products of the plan; refuse those that another writer created in between."""
    inserted = insert_rows(TARGET, list(values.values()))
    for key, (outcome, *_) in plan.results_of.items():
        if key not in inserted:
            outcome.created = False
            outcome.error = ProductExists(key[1])
    plan.results.sort(key=lambda outcome: outcome.position)


def _refusal(product_id: str, *, exists: bool, may_exist: bool) -> DomainError | None:
    """Return why the product cannot be written, None when it can."""
    if exists and not may_exist:
        return ProductExists(product_id)
    if product_id in Product.reserved_ids and not exists:
        return InvalidProduct(f"The id {product_id} is reserved.", field="id")
    return None


@transaction.atomic
def delete_product(*, tenant_id: int, product_id: str) -> None:
    """Delete the product and all its assignments; an unknown one is deleted already.

    The product is locked before its assignments and those in key order, as `catalog.tree` does with
    categories: two deletions wait for each other, never both.
    """
    if not (stored := _lock_products(tenant_id, [product_id], for_deletion=True)):
        return
    [product] = stored.values()
    key = param(product.id)
    execute(
        sql(
            "SELECT 1 FROM catalog_categoryassignment WHERE tenant_id = {tenant} AND product_id = {product}"
            " ORDER BY id FOR UPDATE",
            tenant=param(tenant_id),
            product=key,
        )
    )
    execute(sql("DELETE FROM catalog_product WHERE id = {product}", product=key))


def _only(outcomes: Sequence[RowResult]) -> RowResult:
    [outcome] = outcomes
    if outcome.error:
        raise outcome.error
    return outcome


def _lock_products(
    tenant_id: int, product_ids: Sequence[str], *, for_deletion: bool = False
) -> dict[str, Stored]:
    """Lock the products that exist, in key order, and return what is known of them by their wire ids."""
    rows = fetch_rows(
        sql(
            "SELECT external_id, id, version, is_published FROM catalog_product"
            " WHERE tenant_id = {tenant} AND external_id = ANY({ids}) ORDER BY id FOR {strength}",
            tenant=param(tenant_id),
            ids=param(list(product_ids), "text[]"),
            strength=Sql("UPDATE" if for_deletion else "NO KEY UPDATE"),
        )
    )
    return {row[0]: Stored(*row[1:]) for row in rows}


def _holders_of_codes(tenant_id: int, codes: Sequence[str]) -> dict[str, str]:
    """Return which products have these codes, by their wire ids."""
    rows = Product.objects.filter(tenant=tenant_id, code__in=codes).order_by()
    return {code: product_id for code, product_id in rows.values_list("code", "external_id") if code}


def _values(key: tuple[int, str], row: ProductBody, is_published: bool, at: datetime) -> list[object]:
    """Return the row in the order of TARGET's columns."""
    values = {name: getattr(row, name) for name in OWN_COLUMNS}
    values |= {"is_published": is_published, "product_type": "BASIC", "created_at": at, "modified_at": at}
    values["tenant_id"], values["external_id"] = key
    return [values[name] for name in TARGET.columns]
