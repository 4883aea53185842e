"""Writes of customer assignments: one set-based path for a single row, a bulk of the API, and a file."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from core.errors import DomainError
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from core.sql.upserts import BatchPlan, RowResult, UpsertTarget, only_outcome
from segments.bodies import CustomerAssignmentBody, Member
from segments.errors import NotAContact, UnknownCustomer, UnknownLegalEntity
from segments.models import CustomerAssignment
from segments.operations.assignments import (
    AssignmentKind,
    AssignmentStatements,
    Reference,
    upsert_batch,
)

CUSTOMER_ASSIGNMENTS = UpsertTarget.of(
    CustomerAssignment,
    "tenant_id",
    "segment_id",
    "customer_id",
    "legal_entity_id",
)
CUSTOMERS = AssignmentKind(
    model=CustomerAssignment,
    target=CUSTOMER_ASSIGNMENTS,
    body=CustomerAssignmentBody,
    references=(
        Reference("customer", "customer_id", Sql("accounts_customer AS customer WHERE")),
        Reference(
            "legal_entity",
            "legal_entity_id",
            Sql("accounts_legalentity AS legal_entity WHERE"),
            joins=Sql(
                "LEFT JOIN accounts_contactassignment AS contact ON contact.tenant_id = customer.tenant_id"
                " AND contact.customer_id = customer.id AND contact.legal_entity_id = legal_entity.id"
            ),
            condition=Sql("contact.id IS NOT NULL"),
        ),
    ),
)


def upsert_customer_assignments(
    *, tenant_id: int, segment_id: str, rows: Sequence[CustomerAssignmentBody | DomainError], at: datetime
) -> list[RowResult]:
    """Create or replace assignments of customers to one segment and report every row, in order.

    Rows of the same member act one after the other. Refused, without spoiling any other, are rows that
    name an unknown customer or legal entity, a customer who is no contact of the entity, or another
    version than the stored one. Raises SegmentNotFound. Takes one statement, and one more when a row
    expects a version, whatever the number of rows.
    """
    statements = AssignmentStatements(kind=CUSTOMERS, tenant_id=tenant_id, segment_id=segment_id)
    return upsert_batch(statements, rows, at=at, refusal=refusal)


def refusal(row: CustomerAssignmentBody | Member, keys: Sequence[int | None]) -> DomainError:
    """Return why the member is not assigned; the keys are those of the customer and the legal entity."""
    customer_id, legal_entity_id = row.customer_id, row.legal_entity_id
    customer, *legal_entity = keys
    if customer is None:
        return UnknownCustomer(customer_id)
    if legal_entity_id is None or None in legal_entity:
        return UnknownLegalEntity(legal_entity_id or "")
    return NotAContact(customer_id, legal_entity_id)


def locked_version(*, tenant_id: int, segment_id: str, member: Member) -> int | None:
    """Lock the assignment until commit and return its version; None when there is none."""
    statements = AssignmentStatements(kind=CUSTOMERS, tenant_id=tenant_id, segment_id=segment_id)
    return statements.lock_versions([member]).get(member)


def upsert_customer_assignment(
    *, tenant_id: int, segment_id: str, row: CustomerAssignmentBody, at: datetime
) -> bool:
    """Create or replace one assignment; say whether it was created. Raises what bulk rows are refused for."""
    outcomes = upsert_customer_assignments(tenant_id=tenant_id, segment_id=segment_id, rows=[row], at=at)
    return only_outcome(outcomes).created


@transaction.atomic
def delete_customer_assignments(
    *, tenant_id: int, segment_id: str, members: Sequence[Member | DomainError]
) -> list[RowResult]:
    """Delete assignments of customers to one segment and report every row, in order, in one statement.

    What does not exist, the segment included, counts as deleted.
    """
    plan: BatchPlan[Member, Member] = BatchPlan()
    accepted = plan.accepted(members)
    named = {member for _, member in accepted}
    if named:
        fetch_rows(
            sql(
                "WITH doomed AS ("
                " SELECT assignment.id, assignment.customer_id"
                " FROM unnest({customers}, {entities}) AS named (customer, legal_entity)"
                " JOIN accounts_customer AS customer"
                " ON customer.tenant_id = {tenant} AND customer.external_id = named.customer"
                " LEFT JOIN accounts_legalentity AS entity"
                " ON entity.tenant_id = {tenant} AND entity.external_id = named.legal_entity"
                " JOIN segments_customerassignment AS assignment ON assignment.tenant_id = {tenant}"
                " AND assignment.segment_id ="
                " (SELECT id FROM segments_segment WHERE tenant_id = {tenant} AND external_id = {segment})"
                " AND assignment.customer_id = customer.id"
                " AND assignment.legal_entity_id IS NOT DISTINCT FROM entity.id"
                " WHERE named.legal_entity IS NULL OR entity.id IS NOT NULL"
                " ORDER BY assignment.customer_id, assignment.legal_entity_id FOR UPDATE OF assignment"
                ") DELETE FROM segments_customerassignment AS assignment USING doomed WHERE"
                # the customer says in which partition, where there are any
                " assignment.id = doomed.id AND assignment.customer_id = doomed.customer_id"
                " RETURNING assignment.id",
                customers=param([member.customer_id for member in named], "text[]"),
                entities=param([member.legal_entity_id for member in named], "text[]"),
                tenant=param(tenant_id),
                segment=param(segment_id),
            )
        )
    deleted = [RowResult(position) for position, _ in accepted]
    return sorted([*plan.results, *deleted], key=lambda outcome: outcome.position)


def delete_customer_assignment(*, tenant_id: int, segment_id: str, member: Member) -> None:
    """Delete one assignment, if it exists."""
    only_outcome(delete_customer_assignments(tenant_id=tenant_id, segment_id=segment_id, members=[member]))
