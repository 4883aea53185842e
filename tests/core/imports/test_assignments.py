"""Customers and items of segments by file: every mode, every refusal, dry runs and files of rejects."""

import io
import sys
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from core.imports import merge as merging
from core.imports.models import ImportRun
from segments.models import CustomerAssignment, ItemAssignment
from tests.core.imports.conftest import members
from tests.factories.accounts import CustomerFactory, TenantFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory

HEADER = "segmentId,customerId,legalEntityId,validity.from,validity.to,mixins"


def test_new_rows_are_created_and_a_second_import_changes_nothing(shop, upsert, write):
    path = write("rows.csv", "segmentId,customerId,legalEntityId", "S1,C1,", "S1,C1,L1", "S2,C2,")
    answer = upsert("segment_customers", path)
    assert (answer.status, answer.counts) == (0, {"created": 3})
    assert members(shop.tenant) == [("S1", "C1", "L1", 1), ("S1", "C1", None, 1), ("S2", "C2", None, 1)]
    written = set(CustomerAssignment.objects.values_list("id", "modified_at"))
    answer = upsert("segment_customers", path)
    assert (answer.status, answer.counts) == (0, {"unchanged": 3})
    assert set(CustomerAssignment.objects.values_list("id", "modified_at")) == written


@pytest.mark.parametrize("row", ["S1, C1,", " S1,C1 ,", "S1 , C1 , L1 "])
def test_blanks_around_ids_are_trimmed_in_lines_of_ids_only_as_in_others(shop, upsert, write, row):
    header = "segmentId,customerId,legalEntityId"
    assert upsert("segment_customers", write("rows.csv", header, row)).counts == {"created": 1}
    quoted = ",".join(f'"{value}"' for value in row.split(","))
    assert upsert("segment_customers", write("quoted.csv", header, quoted)).counts == {"unchanged": 1}


def test_a_shortened_number_is_named_in_lines_of_ids_only_as_in_others(shop, upsert, write):
    answers = [
        upsert("segment_customers", write("rows.csv", "segmentId,customerId", row))
        for row in ("S1,1.2E+5", '"S1","1.2E+5"')
    ]
    [[plain], [quoted]] = [answer.json["firstRefusals"] for answer in answers]
    assert plain == quoted
    assert "looks like a long number that a spreadsheet shortened" in plain["message"]


def test_json_lines_are_the_bodies_of_the_api(shop, upsert, write):
    rows = [
        {
            "segmentId": "S1",
            "customerId": "C1",
            "validity": {"from": "2026-01-01T00:00:00Z", "to": None},
            "mixins": {"crm": {"score": 7}},
            "metadata": {"mixins": {"crm": "https://example.com/crm.json"}},
        }
    ]
    assert upsert("segment_customers", write("rows.jsonl", *map(dumps, rows))).counts == {"created": 1}
    stored = CustomerAssignment.objects.get()
    assert (stored.valid_from, stored.valid_to) == (datetime(2026, 1, 1, tzinfo=UTC), None)
    assert stored.mixins == {"crm": {"score": 7}}
    assert stored.mixin_schemas == {"crm": "https://example.com/crm.json"}
    assert stored.assignment_type == "MANUAL"


def dumps(row):
    return orjson.dumps(row).decode()


def test_standard_input_is_read(shop, upsert, monkeypatch):
    text = "segmentId,customerId\nS1,C1\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert upsert("segment_customers", "-").counts == {"created": 1}


def test_a_row_that_differs_is_changed_and_its_version_grows_by_one(shop, upsert, write, clock):
    assignment = CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0])
    path = write("rows.csv", HEADER, "S1,C1,,2026-01-01T00:00:00Z,,", "S1,C2,,,,")
    clock.advance(timedelta(seconds=1))
    assert upsert("segment_customers", path).counts == {"created": 1, "changed": 1}
    created_at = assignment.created_at
    assignment.refresh_from_db()
    assert (assignment.version, assignment.created_at) == (2, created_at)
    assert assignment.modified_at > created_at
    assert assignment.valid_from == datetime(2026, 1, 1, tzinfo=UTC)


def test_bad_rows_are_refused_with_their_reason_and_spoil_no_other(shop, upsert, write, tmp_path):
    other = CustomerFactory(tenant=TenantFactory(name="globex"), external_id="G1")
    path = write(
        "rows.csv",
        HEADER,
        "S1,C1,,,,",
        "S9,C1,,,,",
        "S1,C9,,,,",
        "S1,C1,L9,,,",
        "S1,C2,L1,,,",
        f"S1,{other.external_id},,,,",
        "S1,C3,,2026-01-01,,",
        "S1,C3,,2026-02-01T00:00:00Z,2026-01-01T00:00:00Z,",
        "S1,,,,,",
        "S1,C3",
        "S1,C4,,,,[",
        "S1,C5,,,,",
    )
    rejects = tmp_path / "rejects.csv"
    answer = upsert("segment_customers", path, "--rejects", rejects)
    assert (answer.status, answer.counts) == (1, {"created": 2, "refused": 10})
    assert answer.json["refusedByReason"] == {
        "invalid_input": 2,
        "not_a_contact": 1,
        "unknown_customer": 2,
        "unknown_legal_entity": 1,
        "unknown_segment": 1,
        "validation_violation": 3,
    }
    assert [row[:2] for row in members(shop.tenant)] == [("S1", "C1"), ("S1", "C5")]
    lines = rejects.read_text().splitlines()
    assert lines[0] == f"{HEADER},rejected.line,rejected.reason,rejected.message"
    assert lines[1:6] == [
        "S9,C1,,,,,3,unknown_segment,There is no segment S9.",
        "S1,C9,,,,,4,unknown_customer,There is no customer C9.",
        "S1,C1,L9,,,,5,unknown_legal_entity,There is no legal entity L9.",
        "S1,C2,L1,,,,6,not_a_contact,The customer C2 is not assigned to the legal entity L1.",
        "S1,G1,,,,,7,unknown_customer,There is no customer G1.",
    ]
    assert lines[6].startswith("S1,C3,,2026-01-01,,,8,validation_violation,validity.from is a date without")
    assert [line.split(",")[6] for line in lines[7:]] == ["9", "10", "11", "12"]
    run = ImportRun.objects.get()
    assert (run.state, run.rows, run.created, run.refused) == ("finished", 12, 2, 10)
    assert list(run.rejects.values_list("line", "reason"))[:2] == [
        (3, "unknown_segment"),
        (4, "unknown_customer"),
    ]


def test_refused_rows_come_by_line_however_many_are_fetched_at_once(
    shop, upsert, write, tmp_path, monkeypatch
):
    monkeypatch.setattr(merging, "REFUSALS_AT_ONCE", 2)
    rejects = tmp_path / "rejects.csv"
    path = write("rows.csv", "segmentId,customerId", *(f"S1,X{number}" for number in range(5)))
    assert upsert("segment_customers", path, "--rejects", rejects).counts == {"refused": 5}
    lines = rejects.read_text().splitlines()[1:]
    assert [line.split(",")[:3] for line in lines] == [["S1", f"X{n}", str(n + 2)] for n in range(5)]


def test_corrected_rejects_are_imported_as_they_are(shop, upsert, write, tmp_path):
    rejects = tmp_path / "rejects.csv"
    upsert("segment_customers", write("a.csv", "segmentId,customerId", "S1,C9", "S1,"), "--rejects", rejects)
    corrected = write(
        "b.csv", *rejects.read_text().replace("C9", "C1").replace("S1,,", "S1,C2,").splitlines()
    )
    assert upsert("segment_customers", corrected).counts == {"created": 2}


def test_rejects_of_json_lines_carry_the_reason(shop, upsert, write, tmp_path):
    rejects = tmp_path / "rejects.jsonl"
    path = write("rows.jsonl", '{"segmentId":"S1","customerId":"C9"}', "{", '{"segmentId":"S1"}')
    assert upsert("segment_customers", path, "--rejects", rejects).status == 2
    found = [orjson.loads(line) for line in rejects.read_text().splitlines()]
    assert found[0] == {
        "segmentId": "S1",
        "customerId": "C9",
        "rejected": {"line": 1, "reason": "unknown_customer", "message": "There is no customer C9."},
    }
    assert found[1]["rejectedText"] == "{"
    assert [row["rejected"]["reason"] for row in found] == [
        "unknown_customer",
        "broken_line",
        "validation_violation",
    ]


def test_of_rows_with_the_same_key_the_last_counts(shop, upsert, write):
    path = write(
        "rows.csv", HEADER, "S1,C1,,2026-01-01T00:00:00Z,,", "S1,C1,,2026-02-01T00:00:00Z,,", "S1,C1,,,,"
    )
    assert upsert("segment_customers", path).counts == {"created": 1, "repeated": 2}
    stored = CustomerAssignment.objects.get()
    assert (stored.valid_from, stored.version) == (None, 1)


def test_an_expected_version_that_is_not_stored_is_refused(shop, upsert, write):
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0], version=3)
    path = write(
        "rows.csv",
        "segmentId,customerId,metadata.version,mixins",
        'S1,C1,2,"{""a"": 1}"',
        'S1,C2,7,"{""a"": 1}"',
    )
    answer = upsert("segment_customers", path)
    assert answer.counts == {"created": 1, "refused": 1}
    assert answer.json["refusedByReason"] == {"version_conflict": 1}
    path = write("again.csv", "segmentId,customerId,metadata.version,mixins", 'S1,C1,3,"{""a"": 1}"')
    assert upsert("segment_customers", path).counts == {"changed": 1}
    assert CustomerAssignment.objects.get(customer=shop.customers[0]).version == 4


def test_insert_refuses_what_exists(shop, upsert, write):
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0])
    path = write("rows.csv", HEADER, "S1,C1,,2026-01-01T00:00:00Z,,", "S1,C2,,,,")
    answer = upsert("segment_customers", path, "--mode", "insert")
    assert answer.counts == {"created": 1, "refused": 1}
    assert answer.json["refusedByReason"] == {"already_exists": 1}
    assert CustomerAssignment.objects.get(customer=shop.customers[0]).valid_from is None


def test_delete_removes_what_the_file_names_and_nothing_else(shop, upsert, write):
    first, second = shop.segments
    for segment, customer in ((first, 0), (first, 1), (second, 0)):
        CustomerAssignmentFactory(segment=segment, customer=shop.customers[customer])
    CustomerAssignmentFactory(segment=first, customer=shop.customers[0], legal_entity=shop.company)
    path = write("rows.csv", "segmentId,customerId", "S1,C1", "S1,C5", "S9,C1", "S1,C1")
    answer = upsert("segment_customers", path, "--mode", "delete")
    assert (answer.status, answer.counts) == (1, {"removed": 1, "unchanged": 2, "refused": 1})
    assert [row[:3] for row in members(shop.tenant)] == [
        ("S1", "C1", "L1"),
        ("S1", "C2", None),
        ("S2", "C1", None),
    ]


def test_replace_makes_the_named_segments_exactly_the_files(shop, upsert, write):
    first, second = shop.segments
    for segment, customer in ((first, 0), (first, 1), (first, 2), (second, 0)):
        CustomerAssignmentFactory(segment=segment, customer=shop.customers[customer])
    # the row of C3 is refused, and so neither changed nor removed
    path = write("rows.csv", HEADER, "S1,C1,,,,", "S1,C3,,tomorrow,,", "S1,C4,,,,")
    answer = upsert("segment_customers", path, "--mode", "replace", "--dry-run")
    assert answer.counts == {"created": 1, "unchanged": 1, "removed": 1, "refused": 1}
    assert len(members(shop.tenant)) == 4
    answer = upsert("segment_customers", path, "--mode", "replace")
    assert answer.counts == {"created": 1, "unchanged": 1, "removed": 1, "refused": 1}
    assert [row[:2] for row in members(shop.tenant)] == [
        ("S1", "C1"),
        ("S1", "C3"),
        ("S1", "C4"),
        ("S2", "C1"),
    ]


@pytest.mark.parametrize("mode", ["upsert", "insert", "delete", "replace"])
def test_a_dry_run_tells_what_would_happen_and_writes_nothing(shop, upsert, write, tmp_path, mode):
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0])
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[1])
    path = write("rows.csv", HEADER, "S1,C1,,2026-01-01T00:00:00Z,,", "S1,C3,,,,", "S1,C9,,,,")
    before = members(shop.tenant)
    dry = upsert("segment_customers", path, "--mode", mode, "--dry-run")
    assert members(shop.tenant) == before
    assert not ImportRun.objects.exists()
    assert (dry.json["run"], dry.json["dryRun"]) == (None, True)
    real = upsert("segment_customers", path, "--mode", mode)
    assert (dry.status, dry.counts) == (real.status, real.counts)
    assert dry.json["refusedByReason"] == real.json["refusedByReason"]


def test_all_or_nothing_applies_nothing_when_a_row_is_refused(shop, upsert, write):
    path = write("rows.csv", "segmentId,customerId", "S1,C1", "S1,C9", "S1,C2")
    answer = upsert("segment_customers", path, "--atomic", "--batch-size", 1)
    assert (answer.status, answer.json["error"]) == (2, "rows_refused")
    assert members(shop.tenant) == []
    run = ImportRun.objects.get()
    assert (run.state, run.created, run.refused) == ("failed", 0, 1)
    assert [reject.message for reject in run.rejects.all()] == ["There is no customer C9."]
    good = write("good.csv", "segmentId,customerId", "S1,C1", "S1,C2")
    assert upsert("segment_customers", good, "--atomic", "--batch-size", 1).counts == {"created": 2}


def test_too_many_rejects_end_the_import_before_their_batch(shop, upsert, write):
    path = write("rows.csv", "segmentId,customerId", "S1,C1", "S1,C8", "S1,C2", "S1,C9", "S1,C3")
    answer = upsert("segment_customers", path, "--max-rejects", 1, "--batch-size", 2)
    assert (answer.status, answer.json["error"]) == (1, "too_many_rejects")
    assert [row[1] for row in members(shop.tenant)] == ["C1"]
    run = ImportRun.objects.get()
    assert (run.state, run.committed_line) == ("failed", 3)
    resumed = upsert("segment_customers", path, "--resume", "--batch-size", 2)
    assert (resumed.status, resumed.json["run"]) == (1, run.pk)
    assert resumed.counts == {"created": 3, "refused": 2}
    assert [row[1] for row in members(shop.tenant)] == ["C1", "C2", "C3"]


def test_items_of_both_types_are_imported(shop, upsert, write):
    path = write(
        "rows.csv",
        "segmentId,type,id,includeSubcategories",
        "S1,PRODUCT,P1,",
        "S1,category,K1,true",
        "S2,CATEGORY,K1,",
        "S1,PRODUCT,P2,true",
        "S1,BRAND,P2,",
        "S1,CATEGORY,P2,",
        "S1,CATEGORY,/,",
    )
    answer = upsert("segment_items", path)
    assert answer.counts == {"created": 3, "refused": 4}
    assert answer.json["refusedByReason"] == {
        "invalid_input": 1,
        "unknown_category": 2,
        "validation_violation": 1,
    }
    stored = ItemAssignment.objects.order_by("id").values_list(
        "segment__external_id", "product__external_id", "category__external_id", "includes_subcategories"
    )
    assert set(stored) == {("S1", "P1", None, False), ("S1", None, "K1", True), ("S2", None, "K1", False)}


def test_an_item_without_a_type_is_refused_as_one(shop, upsert, write):
    rows = [{"segmentId": "S1", "id": "P1"}, {"segmentId": "S1", "id": "P1", "type": None}]
    rows.append({"segmentId": "S1", "id": "P1", "type": "BRAND"})
    assert upsert("segment_items", write("rows.jsonl", *map(dumps, rows))).counts == {"refused": 3}
    messages = [reject.message for reject in ImportRun.objects.get().rejects.order_by("line")]
    assert messages == ["type is missing.", "type is missing.", "type must be CATEGORY or PRODUCT."]


def test_items_are_replaced_by_segment(shop, upsert, write):
    for product in shop.products:
        ItemAssignmentFactory(segment=shop.segments[0], product=product)
    path = write(
        "rows.csv", "segmentId,type,id,validity.to", "S1,PRODUCT,P1,", "S1,PRODUCT,P2,soon", "S1,CATEGORY,K1,"
    )
    answer = upsert("segment_items", path, "--mode", "replace")
    assert answer.counts == {"created": 1, "unchanged": 1, "removed": 1, "refused": 1}
    assert set(ItemAssignment.objects.values_list("product__external_id", flat=True)) == {"P1", "P2", None}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["segmentId,customer", "S1,C1"], "There is no column 'customer'"),
        ([], "The file is empty"),
    ],
)
def test_a_file_with_a_wrong_header_does_nothing(shop, run, write, lines, message):
    path = write("rows.csv", *lines)
    answer = run("upsert_segment_customers", path, "--tenant", "acme")
    assert answer.status == 2
    assert message.lower() in answer.message.lower()
    assert not ImportRun.objects.exists()


def test_an_unknown_tenant_does_nothing(shop, run, write):
    answer = run("upsert_segment_customers", write("a.csv", "segmentId,customerId"), "--tenant", "nobody")
    assert (answer.status, answer.message) == (2, "There is no tenant nobody. `create_tenant` makes one.")


def test_rows_of_another_tenant_are_out_of_reach(shop, upsert, write, other_tenant):
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0])
    answer = upsert("segment_customers", path, "--tenant", "globex")
    assert answer.json["refusedByReason"] == {"unknown_segment": 1}
    assert CustomerAssignment.objects.count() == 1


def test_without_json_the_counts_and_reasons_are_told_in_words(shop, run, write):
    path = write("rows.csv", "segmentId,customerId", "S1,C1", "S1,C9")
    answer = run("upsert_segment_customers", path, "--tenant", "acme")
    first, reason, last, refused = answer.text.splitlines()
    assert refused == "Line 3: There is no customer C9."
    assert first.startswith("2 rows: 1 created, 1 refused (")
    assert reason == "  unknown_customer: 1"
    assert last == f"This was import {ImportRun.objects.get().pk}."
    dry_run = run("upsert_segment_customers", path, "--tenant", "acme", "--dry-run")
    assert dry_run.text.startswith("2 rows: 1 would be unchanged, 1 would be refused (")


def test_an_import_takes_the_same_statements_for_one_row_and_for_twenty(
    shop, upsert, write, django_assert_num_queries
):
    for number in range(20):
        CustomerFactory(tenant=shop.tenant, external_id=f"D{number}")
    one = write("one.csv", "segmentId,customerId", "S1,D0")
    twenty = write("twenty.csv", "segmentId,customerId", *(f"S2,D{number}" for number in range(20)))
    with django_assert_num_queries(22):
        upsert("segment_customers", one)
    with django_assert_num_queries(22):
        upsert("segment_customers", twenty)
