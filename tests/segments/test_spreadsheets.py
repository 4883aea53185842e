"""Lists that are uploaded as .xlsx."""

import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from openpyxl import Workbook

from accounts.models import Site
from segments.forms import spreadsheets
from segments.forms.spreadsheets import sheet_lines
from segments.models import CustomerAssignment
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import SegmentFactory


def workbook(*rows: list[object]) -> io.BytesIO:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


def test_cells_are_written_as_people_write_them() -> None:
    file = workbook(
        ["number", "until", "note"],
        [777.0, datetime.fromisoformat("2030-12-24"), "a\nb"],
        [None, datetime.fromisoformat("2030-12-24T18:00"), 'with "quotes"'],
    )
    assert list(sheet_lines(file)) == [
        "number\tuntil\tnote\n",
        "777\t2030-12-24\ta b\n",
        '\t2030-12-24 18:00\t"with ""quotes"""\n',
    ]


def test_seconds_of_times_are_kept() -> None:
    file = workbook(
        [datetime.fromisoformat("2030-12-24T23:59:59"), datetime.fromisoformat("2030-12-24T23:59:59.999")]
    )
    assert list(sheet_lines(file)) == ["2030-12-24 23:59:59\t2030-12-24 23:59:59.999000\n"]


def test_zeros_that_a_format_shows_are_kept() -> None:
    book = Workbook()
    book.active.append([42, 42, 42.0, 4.5, 1234567, True])
    for column, shown_as in zip(
        "ABCDEF", ["00000", "[$-407]00000", "0000", "0000", "0000", "00"], strict=True
    ):
        book.active[f"{column}1"].number_format = shown_as
    file = io.BytesIO()
    book.save(file)
    assert list(sheet_lines(file)) == ["00042\t00042\t0042\t4.5\t1234567\tTrue\n"]


@pytest.mark.parametrize("shown_as", ["", "0" * 900_000])
def test_a_format_that_is_none_or_endless_adds_nothing(shown_as: str) -> None:
    book = Workbook()
    book.active.append([42])
    book.active["A1"].number_format = shown_as or "00000"
    file = io.BytesIO()
    book.save(file)
    if not shown_as:  # the cell names a style that the file does not have
        file = with_part(file, "xl/worksheets/sheet1.xml", lambda text: re.sub(rb's="\d+"', b's="99"', text))
    assert list(sheet_lines(file)) == ["42\n"]


def with_part(file: io.BytesIO, name: str, change: Callable[[bytes], bytes]) -> io.BytesIO:
    """Return the spreadsheet with one of its parts changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(changed, "w") as after:
        for part in before.namelist():
            content = before.read(part)
            after.writestr(part, change(content) if part == name else content)
    return changed


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_what_is_no_spreadsheet_is_refused(content: bytes) -> None:
    with pytest.raises(ValidationError, match="no readable"):
        list(sheet_lines(io.BytesIO(content)))


def test_an_archive_of_something_else_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(ValidationError, match="no readable"):
        list(sheet_lines(file))


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MOST_UNPACKED", 1_000_000)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "0" * 1_000_001)
    monkeypatch.setattr(spreadsheets, "ExcelReader", lambda *arguments, **options: pytest.fail("unpacked"))
    with pytest.raises(ValidationError, match="unpacks to more than 1 MB"):
        list(sheet_lines(file))


def test_members_are_added_from_a_spreadsheet_with_their_dates(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    CustomerFactory(tenant=site.tenant, external_id="777")
    headings = ["Kundennummer", "Gültig bis", "Bemerkung"]
    row = [777.0, datetime.fromisoformat("2030-12-24"), "treu"]
    file = workbook(headings, row, [9, None])
    upload = SimpleUploadedFile("members.xlsx", file.getvalue())
    page = reverse("admin:segments_segment_add_members", args=[segment.pk])
    preview = staff_browser.post(page, {"pasted": "", "upload": upload}).context["preview"]
    assert (preview.read, preview.new, preview.refused, preview.ignored) == (2, 1, 1, ["Bemerkung"])
    staff_browser.post(page, {"prepared": preview.run.pk, "_apply": ""})
    member = CustomerAssignment.objects.get()
    assert member.valid_to == datetime(2030, 12, 24, 23, 59, 59, 999_000, tzinfo=UTC)


def test_a_broken_spreadsheet_is_an_error_of_the_form(staff_browser: Client, site: Site) -> None:
    page = reverse("admin:segments_segment_add_members", args=[SegmentFactory(site=site).pk])
    upload = SimpleUploadedFile("members.xlsx", b"broken")
    form = staff_browser.post(page, {"pasted": "", "upload": upload}).context["form"]
    assert "upload" in form.errors


SHARED = "xl/sharedStrings.xml"
SHARED_TEXTS = (
    b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>777</t></si></sst>'
)
SHARED_TYPE = (
    b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/'
    b'vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
)


def rewritten(part: str, before: bytes, inserted: bytes) -> io.BytesIO:
    """Return a spreadsheet with something inserted into one of its parts."""
    file, source = io.BytesIO(), zipfile.ZipFile(workbook(["777", "treu"]))
    parts = {name: source.read(name) for name in source.namelist()} | {SHARED: SHARED_TEXTS}
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", SHARED_TYPE)
    assert before in parts[part]
    parts[part] = parts[part].replace(before, inserted + before)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert file.tell() < 100_000
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("part", "before", "piece"),
    [
        ("xl/worksheets/sheet1.xml", "</row>", "<c><v>1</v></c>"),
        ("xl/worksheets/sheet1.xml", "</sheetData>", "<row/>"),
        ("xl/worksheets/sheet1.xml", "<pageMargins", "<hyperlinks/>"),
        ("xl/sharedStrings.xml", "<si>", "<si/>"),
        ("xl/sharedStrings.xml", "<t>", "<r/>"),
        ("xl/styles.xml", "</fonts>", "<font/>"),
        ("xl/workbook.xml", "</sheets>", "<sheet/>"),
    ],
)
def test_a_small_file_that_would_take_all_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch, part: str, before: str, piece: str
) -> None:
    monkeypatch.setattr(spreadsheets, "MOST_ROWS", 50_000)
    monkeypatch.setattr(spreadsheets, "MOST_TEXTS", 50_000)
    with pytest.raises(ValidationError, match="more than 50.000 rows, or more in a row"):
        list(sheet_lines(rewritten(part, before.encode(), piece.encode() * (3_000_000 // len(piece)))))


def test_texts_that_grow_when_they_are_read_are_refused() -> None:
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    with pytest.raises(ValidationError, match="no readable"):
        list(sheet_lines(rewritten("xl/worksheets/sheet1.xml", b"<worksheet", entities + b" " * 1_100_000)))


def test_a_large_sheet_of_ordinary_rows_is_read() -> None:
    rows = [[f"customer-{number}", "a note that is long enough"] for number in range(15_000)]
    file = workbook(*rows)
    assert max(entry.file_size for entry in zipfile.ZipFile(file).infolist()) > spreadsheets.LONGEST_ROW
    assert list(sheet_lines(file)) == ["\t".join(row) + "\n" for row in rows]
