"""What an import may remove: nothing while a line cannot be read, and no more rows than allowed."""

import re
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import connection

from core.errors import DomainError
from core.imports.files import InputFile
from core.imports.merge import Tally
from core.imports.merge_statements import Mode
from core.imports.resources import Export
from core.tenancy.callers import TenantRecord

REMOVING_MODES = (Mode.REPLACE, Mode.DELETE)
ROWS_WITHOUT_LIMIT = 100
PERCENT_WITHOUT_LIMIT = 20
NAMED_LINES = 5
MOST_ROWS = 2_147_483_647
PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


class UnreadableLines(DomainError):
    """Lines of a file that removes rows cannot be read, so nothing was removed."""

    code = "unreadable_lines"


class TooManyRemovals(DomainError):
    """More rows would be removed than the operator allows, so none were."""

    code = "too_many_removals"


@dataclass(slots=True)
class UnreadLines:
    """The lines that could not be read: how many, and the first of them with the reason."""

    count: int = 0
    last_line: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        """Note a line; they come in any order."""
        self.count += 1
        self.last_line = max(self.last_line, line)
        self.first = sorted([*self.first, (line, reason)])[:NAMED_LINES]

    def add_cut_off(self, file: InputFile) -> None:
        """Note the last line of a file that was read to its end, when that line has no end."""
        if file.unended_line and file.unended_line != self.last_line:
            self.add(file.unended_line, "The line has no end, so the file may have been cut off there.")

    def error(self) -> UnreadableLines:
        """Return the error that names the lines."""
        named = " ".join(
            reason if reason.startswith(f"Line {line} ") else f"Line {line}: {reason}"
            for line, reason in self.first
        )
        more = f" And {self.count - len(self.first):,} more." if self.count > len(self.first) else ""
        what = "1 line" if self.count == 1 else f"{self.count:,} lines"
        return UnreadableLines(
            f"Nothing was removed or changed, because {what} could not be read. {named}{more}"
            " Correct the file and import it again."
        )


@dataclass(frozen=True, slots=True)
class RemovalLimit:
    """How many rows an import may remove: so many, or a share of the rows that are stored.

    With neither, up to 100 rows or 20 % of what is stored.
    """

    rows: int | None = None
    percent: Decimal | None = None

    def allows(self, removed: int, stored: int) -> bool:
        """Say whether so many of the stored rows may be removed."""
        if self.rows is not None:
            return removed <= self.rows
        if self.percent is not None:
            return removed * 100 <= stored * self.percent
        return removed <= ROWS_WITHOUT_LIMIT or removed * 100 <= stored * PERCENT_WITHOUT_LIMIT

    @property
    def allows_everything(self) -> bool:
        return self.percent is not None and self.percent >= 100

    def in_words(self, option: str) -> str:
        """Say what the limit forbids; `option` is how the caller sets it."""
        if self.rows is not None:
            return f"{option} {self.rows} allows fewer"
        if self.percent is not None:
            return f"{option} {self.percent}% allows fewer"
        return f"more than {ROWS_WITHOUT_LIMIT} rows and more than {PERCENT_WITHOUT_LIMIT} % need {option}"


def read_removal_limit(text: str) -> RemovalLimit | None:
    """Read a number of rows, or a share of them in percent; None for what is neither."""
    share = text.removesuffix("%").strip()
    if share == text:
        is_number = text.isascii() and text.isdecimal() and int(text) <= MOST_ROWS
        return RemovalLimit(rows=int(text)) if is_number else None
    is_share = PERCENT.fullmatch(share) and Decimal(share) <= 100
    return RemovalLimit(percent=Decimal(share)) if is_share else None


def check_removals(
    tally: Tally, limit: RemovalLimit, *, removed_earlier: int, noun: str, option: str = "--max-removed"
) -> None:
    """Raise TooManyRemovals when the limit does not allow what an import removes.

    The tally is that of the whole file; `removed_earlier` were removed before the import was resumed.
    """
    removed = removed_earlier + tally.gone
    stored = removed_earlier + sum(tally.stored.values())
    if limit.allows(removed, stored):
        return
    state = "No more rows were removed" if removed_earlier else "Nothing was removed or changed"
    raise TooManyRemovals(
        f"{removed:,} of {stored:,} {noun} would be removed; {limit.in_words(option)}. {state}."
        f" If that is what you want, run the import again with {option} {removed}."
    )


def count_stored(export: Export, tenant: TenantRecord) -> int:
    """Return how many rows of a kind the tenant has."""
    shape = export.representation
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {shape.table} AS {shape.alias}"
            f" WHERE {shape.alias}.tenant_id = %s AND {export.condition}",
            [tenant.id],
        )
        [(count,)] = cursor.fetchall()
        return count
