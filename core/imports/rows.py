"""A row of a file as it is read, whatever the format."""

from dataclasses import dataclass
from typing import Protocol

from core.errors import DomainError
from core.imports.columns import Given
from core.json_types import JsonMapping

NUL = "\0"
ENCODING_HINT = "A file of a spreadsheet may need --encoding cp1252."


class BrokenLine(DomainError):
    """The line is not what the format asks for."""

    code = "broken_line"


class WrongEncoding(DomainError):
    """The line is not UTF-8, or holds a character that no text can have."""

    code = "wrong_encoding"


NOTHING_GIVEN = Given(frozenset())


@dataclass(slots=True)
class Record:
    """A row: the number of the line that it begins on, its text, and its body or why it has none.

    Rows of a JSON array are numbered as its entries.

    `given` says which columns the row has. A plain row has no body: it is to be taken as its text says (see
    PlainRow).
    """

    line: int
    source: str
    body: JsonMapping | None = None
    error: DomainError | None = None
    is_plain: bool = False
    given: Given = NOTHING_GIVEN


class Reading(Protocol):
    """A file that is being read, from its first row on."""

    has_more: bool

    def next_slice(self) -> list[Record]:
        """Return the next rows: LINES_AT_ONCE, or a few more or less; none where only empty lines are left.

        Raises UnreadableFile once the rows before what cannot be read were returned.
        """
        ...
