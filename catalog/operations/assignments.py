"""Writing which products are in a category.

The category, then the products, are locked against deletion (FOR KEY SHARE, in key order) before anything is
written, so an assignment is never made to what another transaction is deleting.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from catalog.errors import (
    AlreadyAssigned,
    AssignmentNotFound,
    CategoryNotFound,
    InvalidReference,
    ReferenceNotFound,
)
from catalog.models import CategoryAssignment
from catalog.subtrees import is_category
from core.errors import DomainError
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.upserts import RowResult
from core.tenancy.identifiers import generate_id


@dataclass(frozen=True, slots=True)
class AssignmentResult:
    """What became of one row; `assignment_id` is empty when there is no assignment."""

    outcome: RowResult
    product_id: str
    assignment_id: str = ""


def assign_product(*, tenant_id: int, category_id: str, product_id: str, at: datetime) -> str:
    """Assign the product to the category and return the assignment's id.

    Raises CategoryNotFound, InvalidReference and AlreadyAssigned.
    """
    return _only(
        assign_products_in_bulk(
            tenant_id=tenant_id, category_id=category_id, products=[product_id], at=at, may_exist=False
        )
    ).assignment_id


def upsert_assignment(*, tenant_id: int, category_id: str, product_id: str, at: datetime) -> tuple[str, bool]:
    """Make sure that the product is in the category; return the assignment's id, and whether it is new.

    Raises CategoryNotFound and InvalidReference.
    """
    result = _only(
        assign_products_in_bulk(
            tenant_id=tenant_id, category_id=category_id, products=[product_id], at=at, may_exist=True
        )
    )
    return result.assignment_id, result.outcome.created


@transaction.atomic
def assign_products_in_bulk(
    *,
    tenant_id: int,
    category_id: str,
    products: Sequence[str | DomainError],
    at: datetime,
    may_exist: bool,
) -> list[AssignmentResult]:
    """Put the products into the category and report every row, in order.

    A row is a product's id, or the error that reading it gave. Unless they `may_exist`, products that are in
    the category already are refused with AlreadyAssigned, also the second of two equal rows. Raises
    CategoryNotFound. The number of statements does not depend on the number of rows.
    """
    category = _lock_category(tenant_id, category_id)
    wanted = list(dict.fromkeys(row for row in products if isinstance(row, str)))
    keys = _lock_products(tenant_id, wanted)
    created = _insert(tenant_id, category, keys.values(), at)
    stored = _assignments_of(tenant_id, category, [key for key in keys.values() if key not in created])
    results: list[AssignmentResult] = []
    seen: set[str] = set()
    for position, row in enumerate(products):
        if isinstance(row, DomainError):
            results.append(AssignmentResult(RowResult(position, error=row), ""))
            continue
        if row not in keys:
            results.append(AssignmentResult(RowResult(position, error=InvalidReference()), row))
            continue
        is_new = keys[row] in created and row not in seen
        seen.add(row)
        outcome = RowResult(position, created=is_new)
        if not is_new and not may_exist:
            outcome.error = AlreadyAssigned(row)
        results.append(AssignmentResult(outcome, row, created.get(keys[row]) or stored.get(keys[row], "")))
    return results


@transaction.atomic
def remove_assignment(*, tenant_id: int, category_id: str, assignment_id: str) -> None:
    """Delete the assignment of the category; raise CategoryNotFound, AssignmentNotFound."""
    category = _lock_category(tenant_id, category_id)
    condition = sql(
        "tenant_id = {tenant} AND category_id = {category} AND external_id = {id}",
        tenant=param(tenant_id),
        category=param(category),
        id=param(assignment_id),
    )
    if not _delete(condition):
        raise AssignmentNotFound(assignment_id)


@transaction.atomic
def remove_product_from_category(*, tenant_id: int, category_id: str, product_id: str) -> None:
    """Take the product out of the category; raise CategoryNotFound, AssignmentNotFound."""
    category = _lock_category(tenant_id, category_id)
    condition = sql(
        "tenant_id = {tenant} AND category_id = {category} AND product_id = {product}",
        tenant=param(tenant_id),
        category=param(category),
        product=_product_key(tenant_id, product_id),
    )
    if not _delete(condition):
        raise AssignmentNotFound(product_id)


@transaction.atomic
def remove_assignments_of_category(*, tenant_id: int, category_id: str) -> int:
    """Take all products out of the category and say how many; raise CategoryNotFound."""
    category = _lock_category(tenant_id, category_id)
    return _delete(
        sql(
            "tenant_id = {tenant} AND category_id = {category}",
            tenant=param(tenant_id),
            category=param(category),
        )
    )


@transaction.atomic
def remove_product_everywhere(*, tenant_id: int, product_id: str) -> int:
    """Take the product out of all its categories and say how many; raise ReferenceNotFound when in none."""
    removed = _delete(
        sql(
            "tenant_id = {tenant} AND product_id = {product}",
            tenant=param(tenant_id),
            product=_product_key(tenant_id, product_id),
        )
    )
    if not removed:
        raise ReferenceNotFound(product_id)
    return removed


@transaction.atomic
def remove_assignments(*, assignments: QuerySet[CategoryAssignment]) -> int:
    """Delete the assignments and say how many."""
    keys = list(assignments.order_by().values_list("pk", flat=True))
    return _delete(sql("id = ANY({keys})", keys=param(keys, "bigint[]")))


def _only(results: Sequence[AssignmentResult]) -> AssignmentResult:
    [result] = results
    if result.outcome.error:
        raise result.outcome.error
    return result


def _lock_category(tenant_id: int, category_id: str) -> int:
    rows = fetch_rows(
        sql(
            "SELECT id FROM catalog_category AS category"
            " WHERE tenant_id = {tenant} AND external_id = {id} AND {is_category} FOR KEY SHARE",
            is_category=is_category("category"),
            tenant=param(tenant_id),
            id=param(category_id),
        )
    )
    if not rows:
        raise CategoryNotFound(category_id)
    return rows[0][0]


def _lock_products(tenant_id: int, product_ids: Sequence[str]) -> dict[str, int]:
    """Return the keys of the products that exist, by their wire ids, in key order."""
    return dict(
        fetch_rows(
            sql(
                "SELECT external_id, id FROM catalog_product"
                " WHERE tenant_id = {tenant} AND external_id = ANY({ids}) ORDER BY id FOR KEY SHARE",
                tenant=param(tenant_id),
                ids=param(list(product_ids), "text[]"),
            )
        )
    )


def _insert(tenant_id: int, category: int, products: Iterable[int], at: datetime) -> dict[int, str]:
    """Insert the assignments that are missing; return their ids by the products' keys."""
    keys = list(products)
    return dict(
        fetch_rows(
            sql(
                "INSERT INTO catalog_categoryassignment"
                " (tenant_id, external_id, category_id, product_id, created_at)"
                " SELECT {tenant}, external_id, {category}, product_id, {at}"
                " FROM unnest({ids}, {products}) AS given (external_id, product_id) ORDER BY product_id"
                " ON CONFLICT (tenant_id, category_id, product_id) DO NOTHING"
                " RETURNING product_id, external_id",
                tenant=param(tenant_id),
                category=param(category),
                at=param(at),
                ids=param([generate_id() for _ in keys], "text[]"),
                products=param(keys, "bigint[]"),
            )
        )
    )


def _assignments_of(tenant_id: int, category: int, products: Sequence[int]) -> dict[int, str]:
    return dict(
        fetch_rows(
            sql(
                "SELECT product_id, external_id FROM catalog_categoryassignment WHERE tenant_id = {tenant}"
                " AND category_id = {category} AND product_id = ANY({products})",
                tenant=param(tenant_id),
                category=param(category),
                products=param(list(products), "bigint[]"),
            )
        )
    )


def _product_key(tenant_id: int, product_id: str) -> Sql:
    """Return the expression of a product's key, NULL when there is none."""
    return sql(
        "(SELECT id FROM catalog_product WHERE tenant_id = {tenant} AND external_id = {id})",
        tenant=param(tenant_id),
        id=param(product_id),
    )


def _delete(condition: Sql) -> int:
    """Delete the assignments, locked in key order as every deletion does; return how many there were."""
    return execute(
        sql(
            "DELETE FROM catalog_categoryassignment WHERE id IN (SELECT id FROM catalog_categoryassignment"
            " WHERE {condition} ORDER BY id FOR UPDATE)",
            condition=condition,
        )
    )
