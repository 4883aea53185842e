"""What adding a list of customers or items to a segment would do, before it is done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.api.sql import Sql, fetch_rows
from core.errors import DomainError
from segments.errors import UnknownItem
from segments.models import Segment
from segments.operations.customers import Member, MemberKey, known_members
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
    """Say what adding the customers to the segment would do, in two statements."""
    known = known_members(segment.tenant_id, {line.entry for line in lines})
    keys = [key for key in known.values() if isinstance(key, MemberKey)]
    stored = {
        MemberKey(*row)
        for row in fetch_rows(
            Sql(
                "SELECT assignment.customer_id, assignment.legal_entity_id"
                " FROM segments_customerassignment AS assignment"
                " JOIN unnest(%s::bigint[], %s::bigint[]) AS named (customer, legal_entity)"
                " ON assignment.customer_id = named.customer"
                " AND assignment.legal_entity_id IS NOT DISTINCT FROM named.legal_entity"
                " WHERE assignment.tenant_id = %s AND assignment.segment_id = %s",
                (
                    [key.customer for key in keys],
                    [key.legal_entity for key in keys],
                    segment.tenant_id,
                    segment.pk,
                ),
            )
        )
    }
    present = {member for member, key in known.items() if key in stored}
    refused = {member: key for member, key in known.items() if isinstance(key, DomainError)}
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
