"""What adding a list of customers or items to a segment would do, before it is done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.errors import DomainError
from core.sql.statements import Sql, fetch_rows
from segments.errors import NotAContact, UnknownCustomer, UnknownItem, UnknownLegalEntity
from segments.models import Segment
from segments.operations.customers import Member
from segments.operations.items import ItemType

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Line(Generic[Entry]):
    """An entry of a list, and the line that it stands in."""

    number: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Unknown:
    """An entry that cannot be added, and why."""

    number: int
    reason: str


@dataclass(slots=True)
class Enrolment(Generic[Entry]):
    """What would become of a list: who or what is new, who or what is there already, what cannot be added.

    `repeated` counts the lines that say again what an earlier one said.
    """

    new: list[Entry] = field(default_factory=list)
    present: list[Entry] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    repeated: int = 0


def preview_customers(*, segment: Segment, lines: Sequence[Line[Member]]) -> Enrolment[Member]:
    """Say what adding the customers to the segment would do, in one statement that locks nothing."""
    named = list({line.entry for line in lines})
    found = fetch_rows(
        Sql(
            "SELECT customer.id IS NOT NULL, entity.id IS NOT NULL, contact.id IS NOT NULL,"
            " assignment.id IS NOT NULL"
            " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS named (customer, legal_entity, position)"
            " LEFT JOIN accounts_customer AS customer"
            " ON customer.tenant_id = %s AND customer.external_id = named.customer"
            " LEFT JOIN accounts_legalentity AS entity"
            " ON entity.tenant_id = %s AND entity.external_id = named.legal_entity"
            " LEFT JOIN accounts_contactassignment AS contact ON contact.tenant_id = %s"
            " AND contact.customer_id = customer.id AND contact.legal_entity_id = entity.id"
            " LEFT JOIN segments_customerassignment AS assignment"
            " ON assignment.tenant_id = %s AND assignment.segment_id = %s"
            " AND assignment.customer_id = customer.id"
            " AND assignment.legal_entity_id IS NOT DISTINCT FROM entity.id"
            " ORDER BY named.position",
            (
                [member.customer_id for member in named],
                [member.legal_entity_id for member in named],
                *(segment.tenant_id,) * 4,
                segment.pk,
            ),
        )
    )
    present: set[Member] = set()
    refused: dict[Member, DomainError] = {}
    for member, (is_customer, is_entity, is_contact, is_stored) in zip(named, found, strict=True):
        if not is_customer:
            refused[member] = UnknownCustomer(member.customer_id)
        elif member.legal_entity_id and not is_entity:
            refused[member] = UnknownLegalEntity(member.legal_entity_id)
        elif member.legal_entity_id and not is_contact:
            refused[member] = NotAContact(member.customer_id, member.legal_entity_id)
        elif is_stored:
            present.add(member)
    return sorted_out(lines, present, refused)


def preview_items(*, segment: Segment, item_type: ItemType, lines: Sequence[Line[str]]) -> Enrolment[str]:
    """Say what adding the items to the segment would do, in one statement."""
    column = item_type.column
    named = list({line.entry for line in lines})
    found = dict(
        fetch_rows(
            Sql(
                "SELECT item.external_id, EXISTS (SELECT FROM segments_itemassignment AS assignment"
                " WHERE assignment.tenant_id = %s AND assignment.segment_id = %s"
                f" AND assignment.{column} = item.id)"
                f" FROM {item_type.items} item.tenant_id = %s AND item.external_id = ANY(%s::text[])",
                (segment.tenant_id, segment.pk, segment.tenant_id, named),
            )
        )
    )
    present = {item_id for item_id, is_stored in found.items() if is_stored}
    refused = {item_id: UnknownItem(item_type, item_id) for item_id in named if item_id not in found}
    return sorted_out(lines, present, refused)


def sorted_out(
    lines: Iterable[Line[Entry]], present: set[Entry], refused: Mapping[Entry, DomainError]
) -> Enrolment[Entry]:
    """Put each entry where it belongs, once, in the order of the list."""
    enrolment: Enrolment[Entry] = Enrolment()
    seen: set[Entry] = set()
    for line in lines:
        if line.entry in seen:
            enrolment.repeated += 1
            continue
        seen.add(line.entry)
        if error := refused.get(line.entry):
            enrolment.unknown.append(Unknown(line.number, error.message))
        elif line.entry in present:
            enrolment.present.append(line.entry)
        else:
            enrolment.new.append(line.entry)
    return enrolment
