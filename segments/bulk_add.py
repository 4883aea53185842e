"""Preview of adding a list of customers or items to a segment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.errors import DomainError
from core.sql.composition import identifier, param, sql
from core.sql.fetching import fetch_rows
from segments.bodies import Member
from segments.errors import NotAContact, UnknownCustomer, UnknownItem, UnknownLegalEntity
from segments.models import Segment
from segments.operations.items import ItemType

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Line(Generic[Entry]):
    """An entry of a list, and the number of its line."""

    number: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Unknown:
    """An entry that cannot be added, and why."""

    number: int
    reason: str


@dataclass(slots=True)
class BulkAddPreview(Generic[Entry]):
    """The effect of adding a list: the entries that are new, present already, or cannot be added.

    `repeated` counts the lines that repeat an earlier one.
    """

    new: list[Entry] = field(default_factory=list)
    present: list[Entry] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    repeated: int = 0


def preview_customers(*, segment: Segment, lines: Sequence[Line[Member]]) -> BulkAddPreview[Member]:
    """Say what adding the customers to the segment would do, in one statement that locks nothing."""
    named = list({line.entry for line in lines})
    found = fetch_rows(
        sql(
            "SELECT customer.id IS NOT NULL, entity.id IS NOT NULL, contact.id IS NOT NULL,"
            " assignment.id IS NOT NULL"
            " FROM unnest({customers}, {entities})"
            " WITH ORDINALITY AS named (customer, legal_entity, position)"
            " LEFT JOIN accounts_customer AS customer"
            " ON customer.tenant_id = {tenant} AND customer.external_id = named.customer"
            " LEFT JOIN accounts_legalentity AS entity"
            " ON entity.tenant_id = {tenant} AND entity.external_id = named.legal_entity"
            " LEFT JOIN accounts_contactassignment AS contact ON contact.tenant_id = {tenant}"
            " AND contact.customer_id = customer.id AND contact.legal_entity_id = entity.id"
            " LEFT JOIN segments_customerassignment AS assignment"
            " ON assignment.tenant_id = {tenant} AND assignment.segment_id = {segment}"
            " AND assignment.customer_id = customer.id"
            " AND assignment.legal_entity_id IS NOT DISTINCT FROM entity.id"
            " ORDER BY named.position",
            customers=param([member.customer_id for member in named], "text[]"),
            entities=param([member.legal_entity_id for member in named], "text[]"),
            tenant=param(segment.tenant_id),
            segment=param(segment.pk),
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
    return build_preview(lines, present, refused)


def preview_items(
    *, segment: Segment, item_type: ItemType, lines: Sequence[Line[str]]
) -> BulkAddPreview[str]:
    """Say what adding the items to the segment would do, in one statement."""
    named = list({line.entry for line in lines})
    found = dict(
        fetch_rows(
            sql(
                "SELECT item.external_id, EXISTS (SELECT FROM segments_itemassignment AS assignment"
                " WHERE assignment.tenant_id = {tenant} AND assignment.segment_id = {segment}"
                " AND assignment.{column} = item.id)"
                " FROM {items} item.tenant_id = {tenant} AND item.external_id = ANY({ids})",
                tenant=param(segment.tenant_id),
                segment=param(segment.pk),
                column=identifier(item_type.column),
                items=item_type.items,
                ids=param(named, "text[]"),
            )
        )
    )
    present = {item_id for item_id, is_stored in found.items() if is_stored}
    refused = {item_id: UnknownItem(item_type, item_id) for item_id in named if item_id not in found}
    return build_preview(lines, present, refused)


def build_preview(
    lines: Iterable[Line[Entry]], present: set[Entry], refused: Mapping[Entry, DomainError]
) -> BulkAddPreview[Entry]:
    """Return the preview with each entry once, in the order of the list."""
    preview: BulkAddPreview[Entry] = BulkAddPreview()
    earlier: set[Entry] = set()
    for line in lines:
        if line.entry in earlier:
            preview.repeated += 1
            continue
        earlier.add(line.entry)
        if error := refused.get(line.entry):
            preview.unknown.append(Unknown(line.number, error.message))
        elif line.entry in present:
            preview.present.append(line.entry)
        else:
            preview.new.append(line.entry)
    return preview
