"""Rows of the demo data on their way into a table, and what became of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from core.imports.merge import Merge, Refusal, Tally
from core.imports.merge_specs import MergeSpec
from core.sql.upserts import RowResult

Row = TypeVar("Row")
NO_MIXINS: None = None


class Progress(Protocol):
    """Tells somebody how far the load is."""

    def counted(self, label: str, rows: Iterable[Row], total: int) -> Iterator[Row]:
        """Pass the rows on, telling how many of `total` have passed."""
        ...

    def finished(self, label: str, tally: Tally) -> None:
        """Tell what became of the rows of this label."""
        ...


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of the source that could not be loaded."""

    file: str
    row: int
    reason: str
    message: str


@dataclass(slots=True)
class Load:
    """A load under way: whose shop it is, when it happens, and what it came to so far."""

    tenant_id: int
    at: datetime
    progress: Progress
    tallies: dict[str, Tally] = field(default_factory=dict)
    refused: list[RefusedRow] = field(default_factory=list)

    def merge(self, label: str, kind: MergeSpec, rows: Sequence[Sequence[object]], *, file: str = "") -> None:
        """Merge rows, each beginning with its row number in the file, under a label."""

        def refuse(refusal: Refusal) -> None:
            self.refused.append(RefusedRow(file, refusal.line, refusal.code, refusal.message))

        staged = ((number, None, None, None, *values) for number, *values in rows)
        counted = self.progress.counted(label, staged, len(rows))
        merge = Merge(kind, tenant_id=self.tenant_id, at=self.at, refuse=refuse)
        self.note(label, merge.run(counted))

    def note_outcomes(
        self,
        label: str,
        outcomes: Iterable[RowResult],
        *,
        unchanged: int,
        source_rows: Sequence[int],
        file: str,
        changed: int = 0,
    ) -> None:
        """Keep what became of rows that a bulk operation wrote; `source_rows` says where each is."""
        tally = Tally(rows=changed + unchanged, changed=changed, unchanged=unchanged)
        for outcome in outcomes:
            tally.rows += 1
            if outcome.error:
                tally.refused += 1
                row = source_rows[outcome.position]
                self.refused.append(RefusedRow(file, row, outcome.error.code, outcome.error.message))
            elif outcome.created:
                tally.created += 1
            else:
                tally.changed += 1
        self.note(label, tally)

    def note(self, label: str, tally: Tally) -> None:
        """Keep what became of rows that another operation wrote."""
        self.tallies[label] = tally
        self.progress.finished(label, tally)

    @property
    def has_changed(self) -> bool:
        """Whether anything was written."""
        return any(tally.created or tally.changed for tally in self.tallies.values())


def numbered(rows: Iterable[Sequence[object]], *, start: int = 1) -> list[tuple[object, ...]]:
    """Put a number in front of rows that are in no file."""
    return [(number, *row) for number, row in enumerate(rows, start=start)]
