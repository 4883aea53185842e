"""Preview of adding a list of items to a segment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.errors import DomainError
from segments.errors import UnknownItem
from segments.models import Segment
from segments.operations.assignments import AssignmentKind, AssignmentStatements
from segments.operations.items import ITEMS, ItemType

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


def preview_items(
    *, segment: Segment, item_type: ItemType, lines: Sequence[Line[str]]
) -> BulkAddPreview[str]:
    """Say what adding the items to the segment would do, in one statement that locks nothing."""
    named = list({line.entry for line in lines})
    found = statements(ITEMS[item_type], segment).preview([(item_id,) for item_id in named])
    present: set[str] = set()
    refused: dict[str, DomainError] = {}
    for item_id, (is_assignable, is_stored, key) in zip(named, found, strict=True):
        if not is_assignable or key is None:
            refused[item_id] = UnknownItem(item_type, item_id)
        elif is_stored:
            present.add(item_id)
    return build_preview(lines, present, refused)


def statements(kind: AssignmentKind, segment: Segment) -> AssignmentStatements:
    """Return the statements of the operation that adds to the segment."""
    return AssignmentStatements(kind=kind, tenant_id=segment.tenant_id, segment_id=segment.external_id)


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
