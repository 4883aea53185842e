"""A row of a file as it is read, whatever the format."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from core.errors import DomainError
from core.imports.columns import Given
from core.json_types import JsonMapping

NUL = "\0"
ENCODING_HINT = "A file of a spreadsheet may need --encoding cp1252."


class BrokenLine(DomainError):
    """The line is not what the format asks for."""

    code = "broken_line"


class UnclosedQuote(BrokenLine):
    """A quote opens in the line and is not closed where it could be."""

    def __init__(self, line: int) -> None:
        super().__init__(f"Line {line} has a quote that is not closed within 1 MiB.")


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


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header line of a CSV file: the names in it, the columns that these are, and the delimiter.

    Files of JSON have an empty one.
    """

    given_names: Sequence[str] = ()
    names: Sequence[str] = ()
    delimiter: str = ","


class RecordFile(ABC):
    """The rows of a file, which can be read several times. `header` is empty but for CSV.

    `has_more` says whether a slice of rows was not the last one.
    """

    header: FileHeader
    has_more: bool

    @abstractmethod
    def slices(self) -> Generator[list[Record]]:
        """Begin at the first row, and yield LINES_AT_ONCE rows at a time, or a few more or less.

        A slice may be empty where only empty lines are left. Of several readings only the last one can go on.
        Raises UnreadableFile where the file cannot be read on, behind a slice of the rows before that.
        """

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.slices())
