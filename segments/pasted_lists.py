"""Lists of customers or items that are pasted or uploaded: resolved, looked at, and added as an import."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Protocol

from django.db import transaction

from accounts.models import LegalEntity
from core.imports.merge_specs import MergeSpec
from core.imports.merge_statements import Mode
from core.imports.models import ImportRun
from core.imports.other_names import ids_of
from core.imports.parts import SHOWN_ROWS, STORED_ALREADY, PreparedRow, outlook_of, prepare_import
from core.imports.resources import registered_resources
from core.json_types import JsonMapping, JsonObject
from segments.imports.assignments import SEGMENT_CUSTOMERS, SEGMENT_ITEMS
from segments.models import Segment
from segments.operations.items import ItemType
from segments.suggestions import Suggestion, closest

LINES_AT_ONCE = 5_000
MOST_ENTRIES = 500_000
LONGEST_NAME = 254
MOST_SUGGESTED = 100  # entries that were not found


class ListedLine(Protocol):
    """A line of a list, as `segments.forms.entries` reads it."""

    @property
    def number(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def company(self) -> str | None: ...
    @property
    def validity(self) -> JsonMapping: ...
    @property
    def more(self) -> JsonMapping: ...
    @property
    def fault(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry that cannot be added, why, and what may be meant instead."""

    line: int
    name: str
    reason: str
    suggestion: Suggestion | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry that was found or repeated: its line, its text, and the id that it means."""

    line: int
    name: str
    id: str = ""
    kind: str = "customer"


@dataclass(slots=True)
class ListPreview:
    """What adding a list would do. Each entry that was read is found, present, repeated or unusable.

    The lists hold the first `SHOWN_ROWS` of what the numbers count.
    """

    run: ImportRun
    read: int = 0
    new: int = 0
    present: int = 0
    repeated: int = 0
    refused: int = 0
    listed: dict[str, list[Listed]] = field(default_factory=dict)
    unusable: list[Unusable] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def suggested(self) -> bool:
        """Whether something else may be meant by an entry that was not found."""
        return any(entry.suggestion for entry in self.unusable)


class TooManyEntries(Exception):
    """The list is longer than one import may be."""


@dataclass(slots=True)
class Resolver:
    """Makes rows of an import of the entries of lines, with at most three statements for each 5,000 lines."""

    segment: Segment
    validity: dict[str, str | None]
    item_type: ItemType | None = None
    includes_subcategories: bool = False
    read: int = 0
    repeated: int = 0
    first_repeated: list[Listed] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    unusable_count: int = 0
    seen: set[tuple[str, str, str | None]] = field(default_factory=set)

    def rows(self, lines: Iterable[ListedLine]) -> Iterator[PreparedRow]:
        """Yield the rows; raise TooManyEntries beyond `MOST_ENTRIES`."""
        remaining = iter(lines)
        while chunk := list(islice(remaining, LINES_AT_ONCE)):
            known = self._ids(chunk)
            companies = self._companies(chunk, known)
            for line in chunk:
                names: Sequence[str] = line.names
                company = line.company
                if len(names) == 2 and names[1] in companies and company is None:
                    names, company = names[:1], names[1]
                for name in names:
                    yield from self._row(line, name, company, known)

    def kind_of(self, line: ListedLine) -> str:
        """Return what a line names, as the import calls it: customer, product or category."""
        if self.item_type is None:
            return "customer"
        named = str(line.more.get("type") or self.item_type).lower()
        return named if named in ("product", "category") else self.item_type.lower()

    def _ids(self, chunk: Sequence[ListedLine]) -> dict[tuple[str, str], str]:
        """Return the ids that the names of the lines mean, by what they name."""
        named: dict[str, set[str]] = {}
        for line in chunk:
            named.setdefault(self.kind_of(line), set()).update(
                name for name in line.names if "\0" not in name
            )
        return {
            (kind, text): found
            for kind, texts in named.items()
            for text, found in ids_of(self.spec, kind, tenant_id=self.segment.tenant_id, texts=texts).items()
        }

    @property
    def spec(self) -> MergeSpec:
        return SEGMENT_CUSTOMERS if self.item_type is None else SEGMENT_ITEMS

    def _companies(self, chunk: Sequence[ListedLine], known: Mapping[tuple[str, str], str]) -> set[str]:
        """Return the second entries of lines of two that name no customer and a legal entity."""
        if self.item_type is not None:
            return set()
        seconds = {line.names[1] for line in chunk if len(line.names) == 2}
        seconds = {name for name in seconds if ("customer", name) not in known and "\0" not in name}
        if not seconds:
            return set()
        entities = LegalEntity.objects.filter(tenant=self.segment.tenant_id, external_id__in=seconds)
        return set(entities.values_list("external_id", flat=True))

    def _row(
        self, line: ListedLine, name: str, company: str | None, known: Mapping[tuple[str, str], str]
    ) -> Iterator[PreparedRow]:
        self.read += 1
        if self.read > MOST_ENTRIES:
            raise TooManyEntries
        fault = line.fault or fault_of(name)
        if fault or (company and "\0" in company):
            self.unusable_count += 1
            if len(self.unusable) < SHOWN_ROWS:
                self.unusable.append(Unusable(line.number, name, fault))
            return
        kind = self.kind_of(line)
        found = known.get((kind, name), name)
        key = (kind, found, company)
        if key in self.seen:
            self.repeated += 1
            if self.repeated <= SHOWN_ROWS:
                self.first_repeated.append(Listed(line.number, name, found, kind))
            return
        self.seen.add(key)
        body: JsonObject = {**line.more, "segmentId": self.segment.external_id}
        if self.item_type is None:
            body["customerId"] = found
            if company:
                body["legalEntityId"] = company
        else:
            body.setdefault("type", str(self.item_type.value))
            body["id"] = found
            if kind == "category":
                body.setdefault("includeSubcategories", self.includes_subcategories)
        if validity := {end: text for end, text in {**self.validity, **line.validity}.items() if text}:
            body["validity"] = validity
        yield line.number, body, name, [], []


def fault_of(name: str) -> str:
    """Say why a text can name nothing; empty when it may."""
    if not name:
        return "The row names nobody and nothing."
    if "\0" in name:
        return "It holds the character U+0000."
    return f"It has more than {LONGEST_NAME} characters." if len(name) > LONGEST_NAME else ""


def prepare_list(
    resolver: Resolver, lines: Iterable[ListedLine], *, name: str, by: str, at: datetime
) -> ListPreview:
    """Keep the list as a prepared import and say what adding it would do."""
    kind = "segment_customers" if resolver.item_type is None else "segment_items"
    run = prepare_import(
        kind=registered_resources()[kind],
        mode=Mode.INSERT,
        tenant_id=resolver.segment.tenant_id,
        rows=resolver.rows(lines),
        name=name,
        by=by,
    )
    outlook = outlook_of(run, at=at)
    present = outlook.tally.reasons.get(STORED_ALREADY, 0)
    unknown = {f"unknown_{alias}": alias for alias in ("customer", "product", "category")}
    sought: dict[str, list[str]] = {}
    for refusal in outlook.refusals[:MOST_SUGGESTED]:
        if refusal.code in unknown and refusal.source:
            sought.setdefault(unknown[refusal.code], []).append(refusal.source)
    close = {
        (alias, text): suggestion
        for alias, texts in sought.items()
        for text, suggestion in closest(
            resolver.spec, alias, tenant_id=resolver.segment.tenant_id, texts=texts
        ).items()
    }
    missing = [
        Unusable(
            refusal.line,
            refusal.source,
            refusal.message,
            close.get((unknown.get(refusal.code, ""), refusal.source)),
        )
        for refusal in outlook.refusals
    ]
    return ListPreview(
        run=run,
        read=resolver.read,
        new=outlook.tally.created,
        present=present,
        repeated=resolver.repeated + outlook.tally.repeated,
        refused=outlook.tally.refused - present + resolver.unusable_count,
        listed={
            "new": listed_rows(outlook.new),
            "present": listed_rows(outlook.stored),
            "repeated": resolver.first_repeated,
        },
        unusable=sorted([*resolver.unusable, *missing], key=lambda entry: entry.line)[:SHOWN_ROWS],
    )


def listed_rows(rows: Iterable[PreparedRow]) -> list[Listed]:
    """Return what rows of the import name, as the list has it."""
    found = []
    for number, body, *said in rows:
        kind = "customer" if "customerId" in body else str(body["type"]).lower()
        row_id = str(body.get("customerId") or body.get("id"))
        found.append(Listed(number, str(said[0]) if said else row_id, row_id, kind))
    return found


@transaction.atomic
def accept_suggestions(run: ImportRun, accepted: Mapping[str, str]) -> None:
    """Let entries of a prepared list that were not found mean these ids, before it is applied."""
    for part in run.parts.select_for_update().order_by("number"):
        changed = False
        for _, body, *said in part.rows:
            member = "customerId" if "customerId" in body else "id"
            if said and said[0] == body[member] and said[0] in accepted:
                body[member] = accepted[said[0]]
                changed = True
        if changed:
            part.save(update_fields=["rows"])
