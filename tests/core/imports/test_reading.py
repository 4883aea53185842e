"""Files become rows, each with its line number; a bad line never hides the next."""

import gzip
import io
import re
import sys
from decimal import Decimal

import pytest
import zstandard

from core.errors import InvalidInput
from core.imports.columns import (
    DEFAULT_OPTIONS,
    Column,
    ColumnType,
    ReadingOptions,
    read_list,
    written_list,
)
from core.imports.csv_rows import CsvFile, Header
from core.imports.files import LONGEST_LINE, Format, InputFile, UnreadableFile, format_of
from core.imports.rows import Record
from core.imports.runs import RECORD_FILES

COLUMNS = (
    Column("id", is_required=True),
    Column("name", ColumnType.LOCALIZED),
    Column("validity.from", ColumnType.TIME),
    Column("position", ColumnType.WHOLE),
    Column("amount.value", ColumnType.NUMBER),
    Column("published", ColumnType.FLAG),
    Column("mixins", ColumnType.JSON),
    Column("numbers", ColumnType.LIST),
)


def records(path, kind=Format.CSV, columns=COLUMNS):
    with InputFile(str(path)) as file:
        return [
            (record.line, record.source, record.error.message if record.error else record.body)
            for record in RECORD_FILES[kind](file, kind, columns)
        ]


def refusal(content, tmp_path, kind=Format.CSV):
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as refused:
        records(path, kind)
    return refused.value.message


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_plain_gzip_and_zstd_files_are_read_alike(tmp_path, pack):
    path = tmp_path / "rows"
    path.write_bytes(pack(b"id,position\na,1\nb,\n"))
    assert records(path) == [(2, "a,1", {"id": "a", "position": 1}), (3, "b,", {"id": "b"})]


def test_a_zstd_file_of_several_frames_is_read_to_its_end(tmp_path):
    path = tmp_path / "rows.csv.zst"
    pack = zstandard.ZstdCompressor().compress
    path.write_bytes(pack(b"id\na\n") + pack(b"b\n"))
    assert [line for line, _, _ in records(path)] == [2, 3]


def test_standard_input_can_be_read_several_times(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"id\na\n")))
    with InputFile("-") as file:
        assert file.size == 5
        for _ in range(2):
            assert [record.body for record in CsvFile(file, Format.CSV, COLUMNS)] == [{"id": "a"}]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_rows(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(b"\xef\xbb\xbfid,position\r\na,1\r\n")
    assert records(path) == [(2, "a,1", {"id": "a", "position": 1})]


def test_every_type_of_column_is_read(tmp_path):
    path = tmp_path / "rows"
    path.write_text(
        "id,name.en,name.de,validity.from,position,amount.value,published,mixins,numbers\n"
        'a,Tea,Tee,2026-01-01T00:00:00Z,3,1.5,TRUE,"{""x"": [1]}",7|8 | \n'
    )
    [(_, _, body)] = records(path)
    assert body == {
        "id": "a",
        "name": {"en": "Tea", "de": "Tee"},
        "validity": {"from": "2026-01-01T00:00:00Z"},
        "position": 3,
        "amount": {"value": 1.5},
        "published": True,
        "mixins": {"x": [1]},
        "numbers": ["7", "8"],
    }


def test_bad_lines_are_told_with_their_numbers_and_the_others_are_read(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(
        b"id,position,published\n"
        b"a,1,true\n"
        b"b,one,true\n"
        b"c,1\n"
        b"\xff,1,true\n"
        b'd,"1"x,true\n'
        b"e,1,perhaps\n"
        b"\n"
        b"nul\x00,1,true\n"
        b'"f\ng",2,false\n'
        b"h,3,true\n"
    )
    assert [(line, said) for line, _, said in records(path)] == [
        (2, {"id": "a", "position": 1, "published": True}),
        (3, "position is no whole number: 'one'."),
        (4, "The line has 2 values, the header has 3 columns."),
        (5, "Line 5 is not UTF-8 at its byte 1. A file of a spreadsheet may need --encoding cp1252."),
        (6, "Line 6 is no CSV: ',' expected after '\"'."),
        (7, "published is no true or false: 'perhaps'."),
        (9, "Line 9 has a character that cannot be stored."),
        (10, {"id": "f\ng", "position": 2, "published": False}),
        (12, {"id": "h", "position": 3, "published": True}),
    ]


def test_bad_json_lines_are_told_with_their_numbers_and_the_others_are_read(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(
        b'{"id":"a"}\n\n{"id":\n["a"]\n{"id":"\xff"}\n{"id":"\\u0000"}\n{"id":"b","mixins":{"x":null}}\n'
    )
    found = [(line, said) for line, _, said in records(path, Format.JSONL)]
    assert found[0] == (1, {"id": "a"})
    assert found[1][0] == 3
    assert found[1][1].startswith("Line 3 is no JSON: ")
    assert found[2:] == [
        (4, "Line 4 is no JSON object."),
        (5, "Line 5 is not UTF-8 at its byte 8. A file of a spreadsheet may need --encoding cp1252."),
        (6, "Line 6 has a character that cannot be stored."),
        (7, {"id": "b", "mixins": {"x": None}}),
    ]


def test_a_row_with_a_member_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "rows"
    path.write_text(
        '{"id":"a","position":1,"position":2}\n{"id":"b","mixins":{"x":{"y":1,"y":1}}}\n'
        '{"id":"c","mixins":{"id":"12:00"}}\n'
    )
    assert [(line, said) for line, _, said in records(path, Format.JSONL)] == [
        (1, "Line 1 has the member 'position' twice; keep one of them."),
        (2, "Line 2 has the member 'y' twice; keep one of them."),
        (3, {"id": "c", "mixins": {"id": "12:00"}}),
    ]
    path.write_text('[{"id":"a"},{"id":"b","id":"c"}]')
    assert [(line, said) for line, _, said in records(path, Format.JSON)] == [
        (1, {"id": "a"}),
        (2, "Entry 2 has the member 'id' twice; keep one of them."),
    ]
    path.write_text('id,mixins\na,"{""x"":1,""x"":2}"\n')
    assert [(line, said) for line, _, said in records(path)] == [
        (2, "mixins has the member 'x' twice; keep one of them."),
    ]


def test_a_row_with_a_deep_member_that_another_one_hides_is_refused(tmp_path):
    path = tmp_path / "rows"
    hidden = f'{{"x":{"[" * 1_010 + "]" * 1_010},"x":{{}}}}'
    path.write_text(f'{{"id":"a","mixins":{hidden}}}\n{{"id":"b"}}\n')
    assert [(line, said) for line, _, said in records(path, Format.JSONL)] == [
        (1, "Line 1 is nested more than 30 levels deep."),
        (2, {"id": "b"}),
    ]
    path.write_text('id,mixins\na,"{}"\nb,\n'.format(hidden.replace('"', '""')))
    assert [(line, said) for line, _, said in records(path)] == [
        (2, "mixins is nested more than 30 levels deep."),
        (3, {"id": "b"}),
    ]


@pytest.mark.parametrize("mark", ["\u0301", "\\u0301"], ids=["as-it-is", "escaped"])
def test_texts_are_composed_apart_from_mixins(tmp_path, mark):
    path = tmp_path / "rows"
    row = f'{{"id":"a","name":{{"en":"Cafe{mark}"}},"numbers":["e{mark}"],"mixins":{{"e":"e{mark}"}}}}'
    read = {"id": "a", "name": {"en": "Caf\u00e9"}, "numbers": ["\u00e9"], "mixins": {"e": "e\u0301"}}
    path.write_text(f"{row}\n")
    assert [said for *_, said in records(path, Format.JSONL)] == [read]
    path.write_text(f"[{row}]")
    assert [said for *_, said in records(path, Format.JSON)] == [read]
    path.write_text(
        f'id,name.en,numbers,mixins\na,Cafe\u0301,"[""e{mark}""]","{{""e"":""e{mark}""}}"\n'
        f'a,Caf\u00e9,"[""e{mark}""]","{{""e"":""e{mark}""}}"\n'
    )
    assert [said for *_, said in records(path)] == [read, read]


@pytest.mark.parametrize(
    ("kind", "rows"), [(Format.CSV, "id\na\n"), (Format.JSONL, '{"id":"a"}'), (Format.JSON, '[{"id":"a"}]')]
)
def test_values_that_all_rows_have_are_composed_apart_from_mixins(tmp_path, kind, rows):
    path = tmp_path / "rows"
    path.write_text(rows)
    constants = (("name.en", "Cafe\u0301"), ("mixins", '{"e":"e\u0301"}'))
    with InputFile(str(path)) as file:
        found = list(RECORD_FILES[kind](file, kind, COLUMNS, options=ReadingOptions(constants=constants)))
    assert [record.body for record in found] == [
        {"id": "a", "name": {"en": "Caf\u00e9"}, "mixins": {"e": "e\u0301"}}
    ]


def test_a_line_without_end_is_cut_and_the_next_one_read(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(b'{"id":"' + b"x" * (2 * LONGEST_LINE) + b'"}\n{"id":"b"}\n')
    found = [(line, said) for line, _, said in records(path, Format.JSONL)]
    assert [line for line, _ in found] == [1, 2]
    assert found[1] == (2, {"id": "b"})


def unclosed(line):
    return f"Line {line} has a quote that is not closed within 1 MiB."


def test_a_quote_that_never_closes_costs_its_own_line(tmp_path):
    path = tmp_path / "rows"
    path.write_text('id,position\n"a,1\nb,2\n"c\nd",3\ne,4\nf,"5\ng,6\n')
    assert records(path, columns=(Column("id", is_required=True, is_id=True), *COLUMNS[1:])) == [
        (2, '"a,1', unclosed(2)),
        (3, "b,2", {"id": "b", "position": 2}),
        (4, '"c', unclosed(4)),
        (5, 'd",3', {"id": 'd"', "position": 3}),
        (6, "e,4", {"id": "e", "position": 4}),
        (7, 'f,"5', unclosed(7)),
        (8, "g,6", {"id": "g", "position": 6}),
    ]


@pytest.mark.parametrize("first", ['"a,1', 'a,"1', '"a"",1'])
def test_a_quote_that_never_closes_within_a_mebibyte_costs_its_own_line(tmp_path, first):
    path = tmp_path / "rows"
    rows = 40_000
    path.write_text(f"id,name.en\n{first}\n" + "".join(f"r{n},{'x' * 50}\n" for n in range(rows)))
    found = records(path)
    assert found[0] == (2, first, unclosed(2))
    assert [body["id"] for _, _, body in found[1:]] == [f"r{n}" for n in range(rows)]


def test_a_row_over_several_lines_has_at_most_a_mebibyte(tmp_path):
    path = tmp_path / "rows"
    half = ("x" * 999 + "\n") * 600
    columns = (Column("id", is_required=True), Column("text"), Column("more"))
    path.write_text(f'id,text,more\na,"{half}",1\nb,"{half}","{half}"\nc,1,2\n')
    found = records(path, columns=columns)
    assert found[0][2] == {"id": "a", "text": half, "more": "1"}
    assert (found[1][0], found[1][2]) == (603, unclosed(603))
    assert found[-1][2] == {"id": "c", "text": "1", "more": "2"}


def test_a_quote_that_another_stray_quote_closes_costs_its_own_line_too(tmp_path):
    path = tmp_path / "rows"
    path.write_text('id,position,published\na,"1,true\nb,2,true\nc,3,true"\nd,4,true\n')
    assert [(line, said["id"]) for line, _, said in records(path) if isinstance(said, dict)] == [
        (3, "b"),
        (5, "d"),
    ]


def test_a_quoted_cell_holds_line_breaks_and_the_next_row_is_found(tmp_path):
    path = tmp_path / "rows"
    text = "\n".join(["b,2", "", '""quoted""', "c" * 200_000, "d"])
    path.write_text(f'id,name.en,position\na,"{text}",1\ne,f,2\n')
    assert [(line, said) for line, _, said in records(path)] == [
        (2, {"id": "a", "name": {"en": text.replace('""', '"')}, "position": 1}),
        (7, {"id": "e", "name": {"en": "f"}, "position": 2}),
    ]


@pytest.mark.parametrize("header", ['"id,position\na,1\n', '"id,position\n' + "a,1\n" * 400_000])
def test_a_header_with_an_unclosed_quote_is_refused(tmp_path, header):
    assert refusal(header.encode(), tmp_path).startswith("Line 1 is no CSV header")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty; it begins with a header line."),
        (b"id,colour\n", "Line 1: There is no column 'colour'. The columns are: id, name.<language>, "),
        (b"id,position,id\n", "Line 1: the column id occurs twice."),
        (b"position\n", "Line 1: the column id is missing."),
        (b"\xffid\n", "Line 1 is not UTF-8 at its byte 1."),
        (gzip.compress(b"id\n" + b"a\n" * 5_000, mtime=0)[:30], "is broken after line"),
    ],
    ids=["empty", "unknown-column", "column-twice", "column-missing", "not-utf-8", "cut-short"],
)
def test_a_file_that_cannot_be_imported_at_all_is_refused(tmp_path, content, message):
    assert message in refusal(content, tmp_path)


def test_a_missing_file_is_refused():
    with pytest.raises(UnreadableFile, match="nowhere.csv cannot be read: No such file"):
        InputFile("nowhere.csv")


@pytest.mark.parametrize(
    ("kind", "header", "row"),
    [
        (Format.CSV, "id,name.en\n", 'a,"%s"\n'),
        (Format.CSV, "id,name.en\n", 'a,"first\n%s"\n'),
        (Format.JSONL, "", '{"id": "a", "name": {"en": "%s"}}\n'),
    ],
    ids=["csv", "rows-of-two-lines", "jsonl"],
)
def test_rows_before_what_cannot_be_read_come_first(tmp_path, kind, header, row):
    path = tmp_path / "rows.gz"
    content = header + row % ("x" * 999) * 3_500
    path.write_bytes(gzip.compress(content.encode(), mtime=0)[:-8])  # without the length and checksum
    read: list[Record] = []
    with InputFile(str(path)) as file, pytest.raises(UnreadableFile) as broken:
        read.extend(RECORD_FILES[kind](file, kind, COLUMNS))
    lines = (header + row * len(read)).count("\n")
    last = re.search(r"is broken after line (\d+):", broken.value.message)
    assert last
    assert read
    assert int(last[1]) - lines in range(row.count("\n"))  # the first line of a row may have been read


def test_the_columns_of_a_file_of_rejects_are_ignored():
    header = Header(["id", "rejected.line", "rejected.reason", "rejected.message"], COLUMNS)
    assert header.read(["a", "7", "unknown", "There is no a."])[0] == {"id": "a"}


def test_columns_that_contradict_each_other_are_refused():
    header = Header(["id", "mixins", "mixins.a"], (*COLUMNS, Column("mixins.a")))
    with pytest.raises(InvalidInput, match="contradicts another column"):
        header.read(["a", "[1]", "x"])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.csv", b"{", Format.CSV),
        ("rows.jsonl.gz", gzip.compress(b"id", mtime=0), Format.JSONL),
        ("rows.NDJSON", b"id", Format.JSONL),
        ("rows", b' {"id":"a"}', Format.JSONL),
        ("rows", b"id\na", Format.CSV),
    ],
    ids=["csv-by-name", "jsonl-by-name-in-gzip", "jsonl-by-name", "jsonl-by-character", "csv-by-character"],
)
def test_the_format_is_told_by_the_name_or_else_by_the_first_character(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    with InputFile(str(path)) as file:
        assert format_of(file) is expected


def bodies(path, options=DEFAULT_OPTIONS, encoding=None):
    with InputFile(str(path), encoding=encoding) as file:
        return [
            record.error.message if record.error else record.body
            for record in CsvFile(file, Format.CSV, COLUMNS, options=options)
        ]


@pytest.mark.parametrize(
    "content",
    [
        b"id,position\r\na,1\r\nb,2\r\n",
        b"id;position\na;1\nb;2\n",
        b"id\tposition\na\t1\nb\t2\n",
        b"sep=;\nid;position\na;1\nb;2\n",
        "\ufeffid,position\na,1\nb,2\n".encode(),
        "id,position\na,1\nb,2\n".encode("utf-16"),
        "id,position\na,1\nb,2\n".encode("utf-16-le"),
        "id,position\na,1\nb,2\n".encode("utf-16-be"),
        b"id,position\ra,1\rb,2\r",
        b'id,position,\ra,1,"x\ny"\rb,2,\r',
        b"ID,Position,,\na,1,,\n,,,\n\nb,2,,\n",
        b',,\n\n"",,\nid,position,\na,1,\nb,2,\n',
        b"id|position\na|1\nb|2\n",
        "id,position\na,1\nb,2\n".encode("utf-32"),
        "\ufeff\ufeff\u200bid\u00a0,position\na,1\nb,2\n".encode(),
    ],
)
def test_files_are_read_as_spreadsheets_save_them(tmp_path, content):
    path = tmp_path / "rows"
    path.write_bytes(content)
    assert bodies(path) == [{"id": "a", "position": 1}, {"id": "b", "position": 2}]


def test_an_encoding_can_be_named(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes("id,name.de\na,M\u00fchle\n".encode("cp1252"))
    assert bodies(path, encoding="cp1252") == [{"id": "a", "name": {"de": "M\u00fchle"}}]
    assert bodies(path) == [
        "Line 2 is not UTF-8 at its byte 4. A file of a spreadsheet may need --encoding cp1252."
    ]


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"PK\x03\x04\x14\x00", "a workbook of a spreadsheet or a ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of a spreadsheet"),
        (b"BZh91AY&SY", "compressed by bzip2"),
        (b"\xfd7zXZ\x00", "compressed by xz"),
        (b"%PDF-1.7\n", "a PDF"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, beginning, kind):
    assert f"rows is {kind}: " in refusal(beginning + bytes(range(256)), tmp_path)


def test_a_carriage_return_in_a_cell_ends_no_line(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(b'"id",position,name.en\na,1,"x\ry"\nb,2,x\ry\nc,3,\n')
    assert bodies(path) == [
        {"id": "a", "position": 1, "name": {"en": "x\ry"}},
        "Line 3 is no CSV: it has a line break outside of quotes.",
        {"id": "c", "position": 3},
    ]


def test_a_list_within_an_object_is_no_file_of_rows(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{\n "rows": [\n  {"id": "a"}\n ]\n}\n')
    with InputFile(str(path)) as file, pytest.raises(UnreadableFile, match="one JSON object, not a list"):
        format_of(file)
    path.write_text('{"id": "a"}\n{"id": "b"}\n')  # JSON Lines under the other name
    with InputFile(str(path)) as file:
        assert format_of(file) is Format.JSONL


DEEP = "[" * 31 + "]" * 31


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"mixins": '{"a": "x\\u0000"}'}, "mixins has a character that cannot be stored."),
        ({"mixins": '{"\\u0000": 1}'}, "mixins has a character that cannot be stored."),
        ({"numbers": '["\\u0000"]'}, "numbers has a character that cannot be stored."),
        ({"mixins": DEEP}, "mixins is nested more than 30 levels deep."),
        ({"mixins": '{"a": "\\ud800"}'}, 'mixins is no JSON: \'{"a": "\\\\ud800"}\'.'),
        ({"position": "1_000"}, "position is no whole number: '1_000'."),
        ({"position": "\u0663"}, "position is no whole number: '\u0663'."),
        ({"position": "1e3"}, "position is no whole number: '1e3'."),
        ({"amount.value": "5_0"}, "amount.value is no number: '5_0'."),
        ({"amount.value": "\uff15"}, "amount.value is no number: '\uff15'."),
        ({"amount.value": "5,5"}, "amount.value is no number: '5,5'."),
        ({"amount.value": "Infinity"}, "amount.value is no number: 'Infinity'."),
    ],
)
def test_a_cell_that_cannot_be_stored_or_means_no_number_is_refused(cells, message):
    header = Header(["id", *cells], COLUMNS)
    with pytest.raises(InvalidInput) as refused:
        header.read(["a", *cells.values()])
    assert refused.value.message == message


def test_what_only_looks_like_a_character_that_cannot_be_stored_is_read(tmp_path):
    path = tmp_path / "rows"
    path.write_text('{"id": "a", "mixins": {"path": "C:\\\\u0000"}}\n')
    assert records(path, Format.JSONL)[0][2] == {"id": "a", "mixins": {"path": "C:\\u0000"}}


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), (" 5 ", 5), ("+5", 5), ("-0.5", Decimal("-0.5")), (".5", Decimal("0.5"))]
)
def test_numbers_are_read_exactly(text, number):
    header = Header(["id", "amount.value"], COLUMNS)
    assert header.read(["a", text])[0]["amount"] == {"value": number}


def test_a_constant_is_read_as_a_cell_is(tmp_path):
    path = tmp_path / "rows"
    path.write_text("id\na\n")
    assert bodies(path, ReadingOptions(constants=(("mixins", DEEP),))) == [
        "mixins is nested more than 30 levels deep."
    ]


def test_languages_of_a_header_are_the_tenants_in_any_case(tmp_path):
    path = tmp_path / "rows"
    options = ReadingOptions(languages=("en", "de-CH"))
    path.write_text("ID,NAME.EN,NAME.DE-CH,Name.FR\na,A,B,C\n")
    assert bodies(path, options) == [{"id": "a", "name": {"en": "A", "de-CH": "B", "FR": "C"}}]
    path.write_text("id,name.en,name.EN\na,A,B\n")  # an export of texts that have both
    assert bodies(path, options) == [{"id": "a", "name": {"en": "A", "EN": "B"}}]


@pytest.mark.parametrize(
    ("text", "flag"),
    [("1", True), ("0", False), ("YES", True), ("no", False), ("ja", True), ("Nein", False), ("WAHR", True)],
)
def test_flags_are_read_as_spreadsheets_and_people_write_them(tmp_path, text, flag):
    path = tmp_path / "rows"
    path.write_text(f"id,published\na,{text}\n")
    assert bodies(path) == [{"id": "a", "published": flag}]


def test_columns_are_renamed_ignored_and_rows_skipped(tmp_path):
    path = tmp_path / "rows"
    path.write_text("Handle,Title,Colour\na,Cup,red\na,,blue\nb,Mug,\n")
    options = ReadingOptions(
        renamed=(("Handle", "id"), ("Title", "name.en")), ignores_unknown=True, skipped_without=("Title",)
    )
    assert bodies(path, options) == [{"id": "a", "name": {"en": "Cup"}}, {"id": "b", "name": {"en": "Mug"}}]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffa b",
        "a b\u200b",
        "\u00a0a b\u00a0",
        "\u200ea b\u00ad",
        "\u2060a b",
        "\u201ea b\u201c",
        "\u00aba b\u00bb",
    ],
)
def test_what_pasting_leaves_around_an_id_is_trimmed(tmp_path, text):
    path = tmp_path / "rows"
    path.write_text(f"position,id\n1,{text}\n", encoding="utf-8")
    with InputFile(str(path)) as file:
        [record] = CsvFile(file, Format.CSV, (Column("id", is_id=True), Column("position")))
    assert record.body == {"id": "a b", "position": "1"}


@pytest.mark.parametrize("parts", [["A|B", "C"], ["["], [" a"], ["", "b"], ["a", "b"], ['["x"]'], ["a\r\nb"]])
def test_a_list_is_read_as_it_is_written(parts):
    assert read_list(written_list(parts)) == parts


@pytest.mark.parametrize(
    "content",
    [
        b"id," + b"x" * 1_100_000 + b"\n",
        b'"' + b"x" * 1_100_000,
        b"\xff\xfei\x00d\x00,",
        b"\x00\x01\x02\x03\n",
        b'id,"a"b\n',
        b"id\rname\n",
        b"\r",
        b"\xfe\xff\xd8\x00\x00\x61\n",
    ],
)
def test_a_header_that_cannot_be_read_is_one_sentence_and_nothing_is_done(tenant, run, tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    answer = run("upsert_segment_customers", path, "--tenant", "acme")
    assert answer.status == 2
    assert "\n" not in answer.message
    assert len(answer.message) < 400


def test_rows_over_many_lines_come_a_few_at_a_time(tmp_path):
    path = tmp_path / "rows.csv"
    row = ',"' + "\n".join(["x" * 1_000] * 900) + '"\n'
    path.write_text("id,name\n" + "".join(f"{number}{row}" for number in range(20)))
    with InputFile(str(path)) as file:
        slices = list(CsvFile(file, Format.CSV, COLUMNS).slices())
    assert sum(map(len, slices)) == 20
    assert max(map(len, slices)) <= 2
