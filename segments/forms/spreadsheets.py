"""The first sheet of an .xlsx file as lines of a table, in bounded memory."""

import csv
from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from core.admin.counts import exact_count

MOST_UNPACKED: Final = 200_000_000  # bytes; a file of 20 MB may claim to hold any number
MOST_FILES: Final = 1_000
MOST_COLUMNS: Final = 50
UNREADABLE = _("This is no readable .xlsx file. Save it again as .xlsx or as CSV.")


class _Line:
    """Keeps the line that the CSV writer writes."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def is_spreadsheet(name: str) -> bool:
    return name.lower().endswith(".xlsx")


def sheet_lines(file: object) -> Iterator[str]:
    """Yield the rows of the first sheet as lines of CSV, read while they are used.

    Raises ValidationError for what is no such file, and for one that unpacks to more than 200 MB: what the
    archive says of itself is looked at before anything is unpacked, and no more than that is.
    """
    _refuse_bombs(file)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
    except (BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, OSError) as unreadable:
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


def _rows(sheet: Any) -> Iterator[tuple[object, ...]]:
    try:
        yield from sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True)
    except (BadZipFile, ParseError, KeyError, ValueError) as unreadable:
        raise ValidationError(UNREADABLE, code="invalid") from unreadable


def _refuse_bombs(file: Any) -> None:
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


def _text(cell: object) -> str:
    """Return a cell as a person would write it into a list."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(" ", "minutes") if cell.time() != datetime.min.time() else f"{cell:%Y-%m-%d}"
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return " ".join(str(cell).split())
