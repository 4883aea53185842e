"""The first sheet of an .xlsx file as lines of a table, in bounded memory."""

import csv
import re
from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from typing import IO, Any, BinaryIO, Final
from xml.etree.ElementTree import ParseError
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile, ZipInfo

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException

from core.admin.counts import exact_count

MOST_UNPACKED: Final = 200_000_000  # bytes; a file of 20 MB may claim to hold any number
MOST_FILES: Final = 1_000
MOST_ROWS: Final = 500_000  # besides the headings; as many as a list may have entries
MOST_TEXTS: Final = 1_000_000  # that cells share
MOST_COLUMNS: Final = 50
# Bytes of a row, and of all that is not in rows: openpyxl makes objects of thirty times their size of them.
LONGEST_ROW: Final = 1_000_000
BLOCK: Final = 65_536
ZEROS: Final = re.compile(r"(?:\[\$[^]]*\])?(0{1,64})")
UNREADABLE = _("This is no readable .xlsx file. Save it again as .xlsx or as CSV.")


class _Line:
    """Keeps the line that the CSV writer writes."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def is_spreadsheet(name: str) -> bool:
    return name.lower().endswith(".xlsx")


def sheet_lines(file: BinaryIO) -> Iterator[str]:
    """Yield the rows of the first sheet as lines of CSV, read while they are used.

    Raises ValidationError for what is no such file, and for one that unpacks to more than 200 MB: what the
    archive says of itself is looked at before anything is unpacked, and no more than that is.
    """
    _refuse_bombs(file)
    try:
        reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
        reader.archive = _BoundedArchive(file)
        reader.read()
        sheet = reader.wb.worksheets[0]
    except (
        BadZipFile,
        InvalidFileException,
        ParseError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        OSError,
    ) as unreadable:
        raise ValidationError(UNREADABLE, code="invalid") from unreadable
    sheet.reset_dimensions()  # what the file says of its size may be anything
    line = _Line()
    writer = csv.writer(line, delimiter="\t", lineterminator="\n")
    for row in _rows(sheet):
        cells = [_text(cell) for cell in islice(row, MOST_COLUMNS)]
        while cells and not cells[-1]:
            cells.pop()
        writer.writerow(cells)
        yield line.text


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    try:
        yield from sheet.iter_rows(max_col=MOST_COLUMNS)
    except (BadZipFile, ParseError, KeyError, ValueError) as unreadable:
        raise ValidationError(UNREADABLE, code="invalid") from unreadable


class _BoundedArchive(ZipFile):
    """Opens a large part only when it consists of rows: of anything else openpyxl keeps all in memory."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._checked: set[str] = set()

    def open(self, name: str | ZipInfo, *arguments: Any, **options: Any) -> IO[bytes]:
        part = name if isinstance(name, ZipInfo) else self.getinfo(name)
        if part.file_size > LONGEST_ROW and part.filename not in self._checked:
            with super().open(part) as content:
                _check_rows(content)
            self._checked.add(part.filename)
        return super().open(name, *arguments, **options)


def _check_rows(part: IO[bytes]) -> None:
    """Raise ValidationError when the part has too many rows or texts, or one that is too long."""
    left = {"row": MOST_ROWS + 1, "si": MOST_TEXTS}
    ended_at = read = 0
    parser = expat.ParserCreate(namespace_separator=" ")

    def end(name: str) -> None:
        nonlocal ended_at
        kind = name.rpartition(" ")[2]
        if kind in left:
            left[kind] -= 1
            ended_at = parser.CurrentByteIndex

    def refuse(*_: object) -> None:
        raise ValidationError(UNREADABLE, code="invalid")

    parser.EndElementHandler = end
    parser.EntityDeclHandler = refuse  # a text may be billions of times as long as its declaration
    while block := part.read(BLOCK):
        try:
            parser.Parse(block)
        except expat.ExpatError as unreadable:
            raise ValidationError(UNREADABLE, code="invalid") from unreadable
        read += len(block)
        if min(left.values()) < 0 or read - ended_at > LONGEST_ROW + BLOCK:
            text = gettext(
                "The file has more than {most} rows, or more in a row than a list of customers or items has."
                " Save it as CSV, or divide it."
            )
            raise ValidationError(text.format(most=exact_count(MOST_ROWS)), code="too_long")


def _refuse_bombs(file: BinaryIO) -> None:
    try:
        with ZipFile(file) as archive:
            entries = archive.infolist()
    except BadZipFile as unreadable:
        raise ValidationError(UNREADABLE, code="invalid") from unreadable
    finally:
        file.seek(0)
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        text = gettext("The file unpacks to more than {most} MB. Save it as CSV, or divide it.")
        raise ValidationError(text.format(most=exact_count(MOST_UNPACKED // 1_000_000)), code="too_long")


def _text(cell: Any) -> str:
    """Return the value of a cell as a person would write it into a list."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00").removesuffix(":00")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float) and value == value // 1 and not isinstance(value, bool):
        return _with_zeros(int(value), _number_format(cell))
    return " ".join(str(value).split())


def _number_format(cell: Any) -> str:
    """Return how the cell shows numbers; empty where it names a style that the file does not have."""
    try:
        return str(cell.number_format)
    except IndexError:
        return ""


def _with_zeros(number: int, number_format: str) -> str:
    """Return the number with the zeros that a format such as 00000 shows before it."""
    found = ZEROS.fullmatch(number_format)
    return f"{number:0{len(found[1])}}" if found else str(number)
