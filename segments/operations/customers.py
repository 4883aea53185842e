"""Writes of customer assignments: one set-based path for a single row, a bulk of the API, and a file.

Order of locks: the segment, customers, legal entities, then assignments in the order of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import transaction

from core.api.sql import Sql, fetch_rows
from core.errors import DomainError
from core.upserts import Outcome, Plan, UpsertTarget, upsert_rows
from segments.errors import NotAContact, UnknownCustomer, UnknownLegalEntity
from segments.operations.assignments import COLUMNS, AssignmentRow, held_segment
from segments.operations.batches import accepted_rows, only_outcome

CUSTOMER_ASSIGNMENTS = UpsertTarget(
    table="segments_customerassignment",
    key=("tenant_id", "segment_id", "customer_id", "legal_entity_id"),
    columns={
        "tenant_id": "bigint",
        "segment_id": "bigint",
        "customer_id": "bigint",
        "legal_entity_id": "bigint",
        "assignment_type": "text",
        **COLUMNS,
    },
    created_only=frozenset({"created_at", "assignment_type"}),
)


class Member(NamedTuple):
    """Whom an assignment assigns, by wire ids: a customer, alone (no legal entity) or for one."""

    customer_id: str
    legal_entity_id: str | None = None


class MemberKey(NamedTuple):
    """The same by keys."""

    customer: int
    legal_entity: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRow(AssignmentRow):
    """A whole customer assignment as it shall be."""

    member: Member


@transaction.atomic
def upsert_customer_assignments(
    *, tenant_id: int, segment_id: str, rows: Sequence[CustomerRow | DomainError], at: datetime
) -> list[Outcome]:
    """Create or replace assignments of customers to one segment and report every row, in order.

    Rows of the same member act one after the other. Refused, without spoiling any other, are rows that
    name an unknown customer or legal entity, a customer who is no contact of the entity, or another
    version than the stored one. Raises SegmentNotFound. Takes three statements, one more when a row names a
    legal entity, and one more when a row expects a version, whatever the number of rows.
    """
    segment = held_segment(tenant_id, segment_id)
    plan: Plan[MemberKey, CustomerRow] = Plan()
    accepted = list(accepted_rows(rows, plan))
    known = known_members(tenant_id, {row.member for _, row in accepted})
    versions: dict[MemberKey, int] = {}
    if any(row.expected_version is not None for _, row in accepted):
        found = [key for key in known.values() if isinstance(key, MemberKey)]
        versions = locked_versions(tenant_id, segment, found)
    for position, row in accepted:
        key = known[row.member]
        if isinstance(key, DomainError):
            plan.refuse(position, key)
            continue
        plan.accept(
            position,
            key,
            row,
            stored_version=versions.get(key),
            expected_version=row.expected_version,
        )
    written = upsert_rows(
        CUSTOMER_ASSIGNMENTS,
        (
            ((tenant_id, segment, *key, "MANUAL", *row.stored_values(at)), plan.writes[key])
            for key, row in plan.rows.items()
        ),
    )
    plan.settle({MemberKey(*key[2:]): result for key, result in written.items()})
    return plan.outcomes


def upsert_customer_assignment(*, tenant_id: int, segment_id: str, row: CustomerRow, at: datetime) -> bool:
    """Create or replace one assignment; say whether it was created. Raises what bulk rows are refused for."""
    outcomes = upsert_customer_assignments(tenant_id=tenant_id, segment_id=segment_id, rows=[row], at=at)
    return only_outcome(outcomes).created


@transaction.atomic
def delete_customer_assignments(
    *, tenant_id: int, segment_id: str, members: Sequence[Member | DomainError]
) -> list[Outcome]:
    """Delete assignments of customers to one segment and report every row, in order, in one statement.

    What does not exist, the segment included, counts as deleted.
    """
    plan: Plan[Member, Member] = Plan()
    accepted = list(accepted_rows(members, plan))
    named = {member for _, member in accepted}
    if named:
        fetch_rows(
            Sql(
                "WITH doomed AS ("
                " SELECT assignment.id FROM unnest(%s::text[], %s::text[]) AS named (customer, legal_entity)"
                " JOIN accounts_customer AS customer"
                " ON customer.tenant_id = %s AND customer.external_id = named.customer"
                " LEFT JOIN accounts_legalentity AS entity"
                " ON entity.tenant_id = %s AND entity.external_id = named.legal_entity"
                " JOIN segments_customerassignment AS assignment ON assignment.tenant_id = %s"
                " AND assignment.segment_id ="
                " (SELECT id FROM segments_segment WHERE tenant_id = %s AND external_id = %s)"
                " AND assignment.customer_id = customer.id"
                " AND assignment.legal_entity_id IS NOT DISTINCT FROM entity.id"
                " WHERE named.legal_entity IS NULL OR entity.id IS NOT NULL"
                " ORDER BY assignment.customer_id, assignment.legal_entity_id FOR UPDATE OF assignment"
                ") DELETE FROM segments_customerassignment WHERE id IN (SELECT id FROM doomed) RETURNING id",
                (
                    [member.customer_id for member in named],
                    [member.legal_entity_id for member in named],
                    *(tenant_id,) * 4,
                    segment_id,
                ),
            )
        )
    deleted = [Outcome(position) for position, _ in accepted]
    return sorted([*plan.outcomes, *deleted], key=lambda outcome: outcome.position)


def delete_customer_assignment(*, tenant_id: int, segment_id: str, member: Member) -> None:
    """Delete one assignment, if it exists."""
    only_outcome(delete_customer_assignments(tenant_id=tenant_id, segment_id=segment_id, members=[member]))


def known_members(tenant_id: int, members: set[Member]) -> dict[Member, MemberKey | DomainError]:
    """Return the keys of each member, or why it cannot be assigned.

    Takes one statement, and one more when a legal entity is named. Keeps what it found from being deleted
    until the transaction ends.
    """
    customers = customer_keys(tenant_id, {member.customer_id for member in members})
    known: dict[Member, MemberKey | DomainError] = {}
    acting: list[Member] = []
    for member in members:
        customer = customers.get(member.customer_id)
        if customer is None:
            known[member] = UnknownCustomer(member.customer_id)
        elif member.legal_entity_id is None:
            known[member] = MemberKey(customer, None)
        else:
            known[member] = UnknownLegalEntity(member.legal_entity_id)
            acting.append(member)
    if acting:
        known.update(known_contacts(tenant_id, acting, customers))
    return known


def customer_keys(tenant_id: int, customer_ids: set[str]) -> dict[str, int]:
    """Return the keys of those of the customers that exist, by their wire ids."""
    return dict(
        fetch_rows(
            Sql(
                "SELECT external_id, id FROM accounts_customer"
                " WHERE tenant_id = %s AND external_id = ANY(%s::text[]) ORDER BY id FOR KEY SHARE",
                (tenant_id, list(customer_ids)),
            )
        )
    )


def known_contacts(
    tenant_id: int, members: Sequence[Member], customers: Mapping[str, int]
) -> dict[Member, MemberKey | DomainError]:
    """Return the keys of the members whose legal entity exists, or that they are no contact of it."""
    rows = fetch_rows(
        Sql(
            "SELECT named.position, entity.id, contact.id IS NOT NULL"
            " FROM unnest(%s::bigint[], %s::text[])"
            " WITH ORDINALITY AS named (customer, legal_entity, position)"
            " JOIN accounts_legalentity AS entity"
            " ON entity.tenant_id = %s AND entity.external_id = named.legal_entity"
            " LEFT JOIN accounts_contactassignment AS contact ON contact.tenant_id = %s"
            " AND contact.customer_id = named.customer AND contact.legal_entity_id = entity.id"
            " ORDER BY entity.id FOR KEY SHARE OF entity",
            (
                [customers[member.customer_id] for member in members],
                [member.legal_entity_id for member in members],
                tenant_id,
                tenant_id,
            ),
        )
    )
    known: dict[Member, MemberKey | DomainError] = {}
    for position, legal_entity, is_contact in rows:
        member = members[position - 1]
        if is_contact:
            known[member] = MemberKey(customers[member.customer_id], legal_entity)
        else:
            known[member] = NotAContact(member.customer_id, member.legal_entity_id or "")
    return known


def locked_versions(tenant_id: int, segment: int, keys: Sequence[MemberKey]) -> dict[MemberKey, int]:
    """Lock those of the assignments that exist and return their versions, in one statement."""
    rows = fetch_rows(
        Sql(
            "SELECT assignment.customer_id, assignment.legal_entity_id, assignment.version"
            " FROM segments_customerassignment AS assignment"
            " JOIN unnest(%s::bigint[], %s::bigint[]) AS named (customer, legal_entity)"
            " ON assignment.customer_id = named.customer"
            " AND assignment.legal_entity_id IS NOT DISTINCT FROM named.legal_entity"
            " WHERE assignment.tenant_id = %s AND assignment.segment_id = %s"
            " ORDER BY assignment.customer_id, assignment.legal_entity_id FOR UPDATE OF assignment",
            ([key.customer for key in keys], [key.legal_entity for key in keys], tenant_id, segment),
        )
    )
    return {MemberKey(customer, entity): version for customer, entity, version in rows}
