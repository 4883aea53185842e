"""Lists of customers or items that are pasted or uploaded: resolved, looked at, and added as an import."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from django.db.models import F
from django.db.models.functions import Lower

from accounts.models import Customer, LegalEntity
from accounts.models.customers import canonical_email
from catalog.models import Category, Product
from core.imports.merge_statements import Mode
from core.imports.models import ImportRun
from core.imports.parts import STORED_ALREADY, PreparedRow, outlook_of, prepare_import
from core.imports.resources import registered_resources
from core.json_types import JsonObject
from segments.models import Segment
from segments.operations.items import ItemType

LINES_AT_ONCE = 5_000
MOST_ENTRIES = 500_000
LONGEST_NAME = 254


class ListedLine(Protocol):
    """A line of a list, as `segments.forms.entries` reads it."""

    @property
    def number(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def company(self) -> str | None: ...
    @property
    def validity(self) -> Any: ...
    @property
    def fault(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry that cannot be added, and why."""

    line: int
    name: str
    reason: str


@dataclass(slots=True)
class ListPreview:
    """What adding a list would do. Each entry that was read is found, present, repeated or unusable."""

    run: ImportRun
    read: int = 0
    new: int = 0
    present: int = 0
    repeated: int = 0
    refused: int = 0
    unusable: list[Unusable] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


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
    unusable: list[Unusable] = field(default_factory=list)
    unusable_count: int = 0
    seen: set[tuple[str, str | None]] = field(default_factory=set)

    def rows(self, lines: Iterable[ListedLine]) -> Iterator[PreparedRow]:
        """Yield the rows; raise TooManyEntries beyond `MOST_ENTRIES`."""
        remaining = iter(lines)
        while chunk := list(islice(remaining, LINES_AT_ONCE)):
            named = {name for line in chunk for name in line.names if "\0" not in name}
            known = self._ids(named)
            companies = self._companies(chunk, known)
            for line in chunk:
                names: Any = line.names
                company = line.company
                if len(names) == 2 and names[1] in companies and company is None:
                    names, company = names[:1], names[1]
                for name in names:
                    yield from self._row(line, name, company, known)

    def _ids(self, names: set[str]) -> dict[str, str]:
        """Return the ids that the names mean: an id comes before an e-mail address or a code."""
        model: Any = Customer
        if self.item_type is not None:
            model = Product if self.item_type == ItemType.PRODUCT else Category
        rows = model._default_manager.filter(tenant=self.segment.tenant_id)
        ids: Any = rows.filter(external_id__in=names).values_list("external_id", flat=True)
        found = {external_id: external_id for external_id in ids}
        if not (others := names - found.keys()):
            return found
        folds = self.item_type != ItemType.PRODUCT  # codes of products are compared as they are
        folded = {name: canonical_email(name) if folds else name for name in others}
        field = "email" if self.item_type is None else "code"
        other = Lower(field) if folds else F(field)
        pairs = (
            rows.alias(other=other).filter(other__in=set(folded.values())).values_list(other, "external_id")
        )
        by_other = dict(pairs)
        return found | {name: by_other[text] for name, text in folded.items() if text in by_other}

    def _companies(self, chunk: Sequence[ListedLine], known: Mapping[str, str]) -> set[str]:
        """Return the second entries of lines of two that name no customer and a legal entity."""
        if self.item_type is not None:
            return set()
        seconds = {line.names[1] for line in chunk if len(line.names) == 2} - known.keys()
        seconds = {name for name in seconds if "\0" not in name}
        if not seconds:
            return set()
        entities = LegalEntity.objects.filter(tenant=self.segment.tenant_id, external_id__in=seconds)
        return set(entities.values_list("external_id", flat=True))

    def _row(
        self, line: ListedLine, name: str, company: str | None, known: Mapping[str, str]
    ) -> Iterator[PreparedRow]:
        self.read += 1
        if self.read > MOST_ENTRIES:
            raise TooManyEntries
        fault = line.fault or fault_of(name)
        if fault or (company and "\0" in company):
            self.unusable_count += 1
            if len(self.unusable) < LINES_AT_ONCE:
                self.unusable.append(Unusable(line.number, name, fault))
            return
        found = known.get(name, name)
        key = (found, company)
        if key in self.seen:
            self.repeated += 1
            return
        self.seen.add(key)
        body: JsonObject = {"segmentId": self.segment.external_id}
        if self.item_type is None:
            body["customerId"] = found
            if company:
                body["legalEntityId"] = company
        else:
            body["type"] = str(self.item_type.value)
            body["id"] = found
            if self.item_type == ItemType.CATEGORY:
                body["includeSubcategories"] = self.includes_subcategories
        if validity := {end: text for end, text in {**self.validity, **line.validity}.items() if text}:
            body["validity"] = validity
        yield line.number, body


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
    missing = [Unusable(refusal.line, "", refusal.message) for refusal in outlook.refusals]
    return ListPreview(
        run=run,
        read=resolver.read,
        new=outlook.tally.created,
        present=present,
        repeated=resolver.repeated + outlook.tally.repeated,
        refused=outlook.tally.refused - present + resolver.unusable_count,
        unusable=sorted([*resolver.unusable, *missing], key=lambda entry: entry.line),
    )
