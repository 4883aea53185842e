"""JSON arrays and JSON Lines: entries of any size and layout, and members that are no columns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Customer
from core.imports.files import LONGEST_LINE, Format, InputFile, UnreadableFile, format_of
from core.imports.json_arrays import array_entries
from coupons.models import Coupon

VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a"\\[]{},: é\n', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def in_pieces(content: bytes, size: int):
    return [content[start : start + size] for start in range(0, len(content), size)]


@given(st.lists(VALUES, max_size=5), st.integers(1, 9), st.sampled_from([None, 2]), st.booleans())
def test_every_entry_comes_whole_wherever_the_pieces_end(values, size, indent, is_ascii):
    content = json.dumps(values, indent=indent, ensure_ascii=is_ascii).encode()
    assert [json.loads(entry) for entry in array_entries(in_pieces(content, size))] == values


@pytest.mark.parametrize(
    ("content", "entries"),
    [
        (b"[]", []),
        (b" [ ] \n", []),
        (b'[{"a": 1}, {"a": tru}, {"a": 2}]', [b'{"a": 1}', b'{"a": tru}', b'{"a": 2}']),
        (b"[1,]", [b"1", b""]),
        (b"[1, 2", [b"1", None]),
        (b'[1, "2', [b"1", None]),
    ],
)
def test_a_fault_in_an_entry_hides_no_other(content, entries):
    assert list(array_entries([content])) == entries


@pytest.mark.parametrize("content", [b"[1] 2", b"[1] [2]", b"x [1]", b"[1]]"])
def test_text_around_the_array_is_refused(content):
    with pytest.raises(UnreadableFile):
        list(array_entries([content]))


def test_an_entry_without_an_end_is_not_held_whole():
    with pytest.raises(UnreadableFile, match="Entry 2 is longer than 4 MiB"):
        list(array_entries([b'[1, "', *(b"x" * 1_000_000 for _ in range(1 + LONGEST_LINE // 1_000_000))]))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.json", b'[\n{"id": "a"}]', Format.JSON),
        ("rows.json", b'{"id": "a"}\n{"id": "b"}\n', Format.JSONL),
        ("rows.jsonl", b"\n [", Format.JSON),
        ("rows.csv", b"[", Format.CSV),
    ],
)
def test_an_array_is_told_from_its_beginning(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    with InputFile(str(path)) as file:
        assert format_of(file) is expected


ROWS = [
    {"id": "N1", "firstName": "Ann"},
    {"id": "N2", "firstname": "Bob"},
    "text",
    {"id": "N3", "b2b": {"companyRegistrationId": "HRB", "companyRegistrationID": 5}},
]


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_imported(shop, upsert, tmp_path, indent):
    path, rejects = tmp_path / "rows.json", tmp_path / "rejects.jsonl"
    path.write_text(json.dumps(ROWS, indent=indent))
    answer = upsert("customers", path, "--rejects", rejects)
    assert answer.counts == {"created": 1, "refused": 3}
    assert [(found["line"], found["message"]) for found in answer.json["firstRefusals"]] == [
        (
            2,
            "There is no column 'firstname'. Did you mean firstName?"
            " --ignore-unknown-columns leaves such members out.",
        ),
        (3, "Entry 3 is no JSON object."),
        (
            4,
            "There is no column 'b2b.companyRegistrationID'. Did you mean b2b.companyRegistrationId?"
            " --ignore-unknown-columns leaves such members out.",
        ),
    ]
    assert Customer.objects.get(external_id="N1").first_name == "Ann"
    assert [json.loads(line)["rejected"]["line"] for line in rejects.read_text().splitlines()] == [2, 3, 4]


def test_unknown_members_are_left_out_when_asked(shop, upsert, tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([ROWS[1], ROWS[3]]))
    assert upsert("customers", path, "--ignore-unknown-columns").counts == {"created": 2}


def test_members_are_renamed_set_and_rows_skipped_as_in_csv(shop, upsert, tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{"number": "N1", "mail": {"main": "n1@example.com"}}, {"number": "N2"}]))
    flags = ["--map", "number=id", "--map", "mail.main=contactEmail", "--set", "onHold=yes"]
    answer = upsert("customers", path, *flags, "--skip-rows-without", "contactEmail")
    assert answer.counts == {"created": 1}
    made = Customer.objects.get(external_id="N1")
    assert (made.email, made.is_on_hold) == ("n1@example.com", True)


def test_an_array_that_was_cut_off_removes_nothing(shop, upsert, tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('[{"id": "C1"}, {"id": "C2"}')
    answer = upsert("customers", path, "--mode", "delete")
    assert (answer.status, Customer.objects.count()) == (2, 5)
    assert "The array is not closed" in answer.message


def test_an_exported_array_is_imported_without_a_change(shop, run, upsert, tmp_path):
    path = tmp_path / "rows.json"
    run("export_customers", path, tenant="acme")
    assert len(json.loads(path.read_text())) == 5
    assert upsert("customers", path).counts == {"unchanged": 5}


@pytest.mark.parametrize("cell", ["|", " ", " | |"])
def test_a_list_of_separators_is_not_everybody(shop, upsert, write, cell):
    path = write(
        "rows.csv",
        "code,name,discountType,discountPercentage,restrictions.validFor",
        f"NEW,New,PERCENT,5,{cell}",
    )
    answer = upsert("coupons", path)
    assert answer.counts == {"refused": 1}
    assert not Coupon.objects.filter(code="NEW").exists()
