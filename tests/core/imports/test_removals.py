"""No import removes rows because of lines that it could not read, or more rows than the operator allows."""

import gzip
from types import SimpleNamespace

import orjson
import pytest
import zstandard

from accounts.models import Customer, LegalEntity
from catalog.models import Category, CategoryAssignment, Product
from core.imports import runner
from core.imports.files import LONGEST_LINE
from core.imports.merge_statements import Mode
from core.imports.models import ImportRun
from core.imports.runner import ImportRunner, rows_of_next_deletion
from coupons.models import Coupon
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.core.imports.conftest import members
from tests.factories.accounts import CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

HEADER = "segmentId,customerId,validity.to"


@pytest.fixture
def three_members(shop):
    """C1, C2 and C3 in S1."""
    for customer in shop.customers[:3]:
        CustomerAssignmentFactory(segment=shop.segments[0], customer=customer)
    return shop


def customers_of_s1() -> set[str]:
    return set(
        CustomerAssignment.objects.filter(segment__external_id="S1").values_list(
            "customer__external_id", flat=True
        )
    )


UNREADABLE = {
    "too-many-values": b"S1,C2,,\n",
    "too-few-values": b"S1,C2\n",
    "bad-quote": b'S1,"C"2,\n',
    "unclosed-quote": b'S1,"C2,\n',
    "bad-bytes": b"S1,\xff,\n",
    "nul": b"S1,C2\0,\n",
    "over-long": b"S1,C2," + b"x" * (LONGEST_LINE + 1) + b"\n",
}
WITHOUT_KEY = {"no-segment": b",C2,\n", "no-id": b"S1,,\n", "shortened-id": b"S1,1.23457E+11,\n"}


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        *((mode, line) for mode in ("replace", "delete") for line in UNREADABLE.values()),
        *(("replace", line) for line in WITHOUT_KEY.values()),
    ],
    ids=[*(f"{mode}-{name}" for mode in ("replace", "delete") for name in UNREADABLE), *WITHOUT_KEY],
)
def test_nothing_is_removed_while_a_csv_line_cannot_be_read(three_members, upsert, tmp_path, mode, line):
    path = tmp_path / "rows.csv"
    path.write_bytes(f"{HEADER}\nS1,C1,\n".encode() + line + b"S2,C4,\n")
    answer = upsert("segment_customers", path, "--mode", mode)
    assert (answer.status, answer.json["error"]) == (2, "unreadable_lines")
    assert customers_of_s1() == {"C1", "C2", "C3"}
    assert (answer.json["unreadLines"], answer.json["firstUnreadLines"]) == (1, [3])
    assert "Line 3" in answer.message
    dry = upsert("segment_customers", path, "--mode", mode, "--dry-run")
    assert (dry.status, dry.message) == (2, answer.message)


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b'["S1", "C2"]\n',
        b'{"segmentId":"S1","customerId":"\xff"}\n',
        b'{"segmentId":"S1","customerId":"C2\\u0000"}\n',
        b'{"segmentId":"S1","customerId":' + b'"' + b"x" * LONGEST_LINE + b'"}\n',
        b'{"segmentId":"S1","customerId":2}\n',
        b'{"segmentId":"S1","customerId":"C2","legalEntityId":7}\n',
        b'{"customerId":"C2"}\n',
    ],
    ids=["no-json", "no-object", "bad-bytes", "nul", "over-long", "number", "company-number", "no-segment"],
)
def test_nothing_is_removed_while_a_json_line_cannot_be_read(three_members, upsert, tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"segmentId":"S1","customerId":"C1"}\n' + line)
    answer = upsert("segment_customers", path, "--mode", "replace")
    assert (answer.status, answer.json["error"], answer.json["firstUnreadLines"]) == (
        2,
        "unreadable_lines",
        [2],
    )
    assert customers_of_s1() == {"C1", "C2", "C3"}


def test_an_unreadable_line_of_one_segment_stops_the_removals_of_all(three_members, upsert, write):
    CustomerAssignmentFactory(segment=three_members.segments[1], customer=three_members.customers[0])
    path = write("rows.csv", HEADER, "S1,C1,", "S2,C2,,", "S1,C4,")
    before = members(three_members.tenant)
    assert upsert("segment_customers", path, "--mode", "replace").status == 2
    assert members(three_members.tenant) == before
    run = ImportRun.objects.get()
    assert (run.state, run.removed, list(run.rejects.values_list("line", flat=True))) == ("failed", 0, [3])


def test_a_replacement_leaves_members_by_rule_alone(three_members, upsert, write):
    CustomerAssignment.objects.filter(customer__external_id__in=["C1", "C3"]).update(
        assignment_type="AUTOMATIC"
    )
    path = write("rows.csv", HEADER, "S1,C1,")

    answer = upsert("segment_customers", path, "--mode", "replace")

    assert answer.counts == {"changed": 1, "removed": 1}
    rows = CustomerAssignment.objects.values_list("customer__external_id", "assignment_type")
    assert dict(rows) == {"C1": "MANUAL", "C3": "AUTOMATIC"}


def test_a_corrected_file_is_applied(three_members, upsert, write):
    path = write("rows.csv", HEADER, "S1,C1,", "S1,C2,,")
    upsert("segment_customers", path, "--mode", "replace")
    path = write("rows.csv", HEADER, "S1,C1,", "S1,C2,")
    assert upsert("segment_customers", path, "--mode", "replace").counts == {"unchanged": 2, "removed": 1}
    assert customers_of_s1() == {"C1", "C2"}


@pytest.mark.parametrize("mode", ["replace", "delete"])
@pytest.mark.parametrize(
    ("name", "row"),
    [("rows.csv", "S1,C1,"), ("rows.jsonl", '{"segmentId":"S1","customerId":"C1"}')],
    ids=["csv", "jsonl"],
)
def test_a_last_line_without_its_end_removes_nothing(three_members, upsert, tmp_path, name, row, mode):
    path = tmp_path / name
    path.write_text(f"{HEADER}\n{row}" if name == "rows.csv" else row)
    answer = upsert("segment_customers", path, "--mode", mode)
    assert (answer.status, answer.json["error"]) == (2, "unreadable_lines")
    assert "The line has no end, so" in answer.message
    assert customers_of_s1() == {"C1", "C2", "C3"}
    assert upsert("segment_customers", path).counts == {"unchanged": 1}


@pytest.mark.parametrize("mode", ["replace", "delete"])
def test_a_header_without_its_end_is_no_empty_file(three_members, upsert, tmp_path, mode):
    path = tmp_path / "rows.csv"
    path.write_text(HEADER)
    answer = upsert("segment_customers", path, "--mode", mode)
    assert (answer.status, answer.json["error"], answer.json["firstUnreadLines"]) == (
        2,
        "unreadable_lines",
        [1],
    )
    assert customers_of_s1() == {"C1", "C2", "C3"}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("format", ["csv", "jsonl"])
@pytest.mark.parametrize("mode", ["replace", "delete"])
def test_a_truncated_compressed_file_removes_nothing(three_members, upsert, tmp_path, pack, format, mode):
    header = f"{HEADER}\n" if format == "csv" else ""
    row = "S1,C1,\n" if format == "csv" else '{"segmentId":"S1","customerId":"C1"}\n'
    content = pack((header + row * 200_000).encode())
    path = tmp_path / f"rows.{format}"
    for length in (len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        answer = upsert("segment_customers", path, "--mode", mode)
        assert (answer.status, answer.json["error"]) == (2, "unreadable_file"), length
        assert "is broken after line" in answer.message
        assert customers_of_s1() == {"C1", "C2", "C3"}


def test_other_assignments_are_kept_as_well(shop, upsert, write):
    for product in shop.products:
        ItemAssignmentFactory(segment=shop.segments[0], product=product)
        CategoryAssignmentFactory(
            tenant=shop.tenant, category=Category.objects.get(external_id="K1"), product=product
        )
    items = write("items.csv", "segmentId,type,id", "S1,PRODUCT,P1", "S1,BRAND,P2")
    answer = upsert("segment_items", items, "--mode", "replace")
    assert (answer.status, answer.json["firstUnreadLines"]) == (2, [3])
    assert ItemAssignment.objects.count() == 3
    placed = write("placed.jsonl", '{"categoryId":"K1","ref":{"id":"P1"}}', '{"categoryId":"K1","ref":"P2"}')
    answer = upsert("category_assignments", placed, "--mode", "replace")
    assert (answer.status, answer.json["firstUnreadLines"]) == (2, [2])
    assert CategoryAssignment.objects.count() == 3


REFUSED_WITH_BLANKS = {
    "segment_customers": {
        "segmentId": " S1",
        "customerId": " C1 ",
        "legalEntityId": "L1\u00a0",
        "validity": {"from": "x"},
    },
    "segment_items": {"segmentId": "S1 ", "type": "PRODUCT", "id": " P1", "validity": {"from": "x"}},
    "category_assignments": {"categoryId": "K1 ", "ref": {"id": " P1 ", "type": "BRAND"}},
}


@pytest.mark.parametrize("kind", REFUSED_WITH_BLANKS)
def test_a_refused_row_keeps_what_is_stored_whatever_surrounds_its_ids(shop, upsert, write, kind):
    first = shop.segments[0]
    category = Category.objects.get(external_id="K1")
    CustomerAssignmentFactory(segment=first, customer=shop.customers[0], legal_entity=shop.company)
    CustomerAssignmentFactory(segment=first, customer=shop.customers[1])
    for product in shop.products[:2]:
        ItemAssignmentFactory(segment=first, product=product)
        CategoryAssignmentFactory(tenant=shop.tenant, category=category, product=product)
    good = {
        "segment_customers": {"segmentId": "S1", "customerId": "C3"},
        "segment_items": {"segmentId": "S1", "type": "PRODUCT", "id": "P3"},
        "category_assignments": {"categoryId": "K1", "ref": {"id": "P3"}},
    }[kind]
    path = write("rows.jsonl", orjson.dumps(good).decode(), orjson.dumps(REFUSED_WITH_BLANKS[kind]).decode())
    answer = upsert(kind, path, "--mode", "replace")
    assert answer.counts == {"created": 1, "removed": 1, "refused": 1}
    stored = {
        "segment_customers": CustomerAssignment.objects.values_list("customer__external_id", flat=True),
        "segment_items": ItemAssignment.objects.values_list("product__external_id", flat=True),
        "category_assignments": CategoryAssignment.objects.values_list("product__external_id", flat=True),
    }[kind]
    assert {name[1:] for name in stored} == {"1", "3"}


@pytest.mark.parametrize("kind", ["customers", "legal_entities", "products", "categories", "segments"])
def test_a_file_of_rows_to_delete_is_read_to_its_end_first(shop, upsert, write, kind):
    ids = {"customers": "C1", "legal_entities": "L1", "products": "P1", "categories": "K1", "segments": "S1"}
    path = write("rows.csv", "id", ids[kind], 'x"y"', 'a,"b')
    answer = upsert(kind, path, "--mode", "delete", "--batch-size", 1)
    assert (answer.status, answer.json["error"]) == (2, "unreadable_lines")
    assert answer.json["removed"] == 0


def test_the_message_names_the_first_lines_and_counts_the_others(three_members, run, write):
    path = write("rows.csv", HEADER, *["S1,C2,,"] * 7)
    answer = run("upsert_segment_customers", path, "--tenant", "acme", "--mode", "replace")
    assert answer.status == 2
    assert answer.message.startswith(
        "Nothing was removed or changed, because 7 lines could not be read. Line 2:"
    )
    assert "And 2 more." in answer.message
    lines = answer.text.splitlines()
    assert "Lines that could not be read: 7 (2, 3, 4, 5, 6, ...)." in lines
    assert lines[-1] == "2 more refused rows: --rejects FILE writes all of them."


@pytest.mark.parametrize("stray", ['S1,"C2', 'S1,C"2', '"S1,C2'], ids=["opens-id", "within", "opens-line"])
@pytest.mark.parametrize("other", ["S1,C5", 'S1,C5"'], ids=["once", "closed-later"])
def test_a_stray_quote_takes_no_other_line_along(shop, upsert, write, stray, other):
    for customer in shop.customers:
        CustomerAssignmentFactory(segment=shop.segments[0], customer=customer)
    path = write("rows.csv", "segmentId,customerId", "S1,C1", stray, "S1,C3", "S1,C4", other)
    upsert("segment_customers", path, "--mode", "replace", "--max-removed", "100%")
    assert {"C1", "C3", "C4"} <= customers_of_s1()
    answer = upsert("segment_customers", path)
    assert answer.json["unchanged"] >= 3


def test_a_stray_quote_is_reported_with_the_lines_that_were_not_read(shop, run, write, tmp_path):
    path = write("rows.csv", "segmentId,customerId", "S1,C1", '"S1,C2', "S1,C3", 'S1,"C4', "S1,C5")
    rejects = tmp_path / "rejects.csv"
    answer = run("upsert_segment_customers", path, "--tenant", "acme", "--rejects", rejects)
    assert answer.status == 1
    first, reason, unread, _, *refused = answer.text.splitlines()
    assert refused == [
        "Line 3: Line 3 has a quote that is not closed within 1 MiB.",
        "Line 5: Line 5 has a quote that is not closed within 1 MiB.",
    ]
    assert first.startswith("5 rows: 3 created, 2 refused (")
    assert (reason, unread) == ("  broken_line: 2", "Lines that could not be read: 2 (3, 5).")
    assert customers_of_s1() == {"C1", "C3", "C5"}
    assert rejects.read_text().splitlines()[1:] == [
        '"""S1,C2",,3,broken_line,Line 3 has a quote that is not closed within 1 MiB.',
        '"S1,""C4",,5,broken_line,Line 5 has a quote that is not closed within 1 MiB.',
    ]


# --- how much is removed ---


@pytest.fixture
def many_members(shop):
    """500 customers in S1, and a thousand in S2."""
    customers = Customer.objects.bulk_create(
        Customer(tenant=shop.tenant, external_id=f"M{number}") for number in range(1_000)
    )
    for segment, count in zip(shop.segments, (500, 1_000), strict=True):
        CustomerAssignment.objects.bulk_create(
            CustomerAssignment(tenant=shop.tenant, segment=segment, customer=customer)
            for customer in customers[:count]
        )
    return shop


def rows_of(segment: str, numbers: range) -> list[str]:
    return [f"{segment},M{number}" for number in numbers]


@pytest.mark.parametrize(
    ("kept", "arguments", "status"),
    [
        (range(101, 500), [], 2),  # 101 rows, 20.2 %
        (range(100, 500), [], 0),
        (range(101, 500), ["--max-removed", "101"], 0),
        (range(101, 500), ["--max-removed", "100"], 2),
        (range(101, 500), ["--max-removed", "20.2%"], 0),
        (range(101, 500), ["--max-removed", "20%"], 2),
        (range(1, 500), ["--max-removed", "0"], 2),
        (range(1, 2), ["--max-removed", "100%"], 0),
    ],
)
def test_a_replacement_that_removes_too_much_is_not_applied(
    many_members, upsert, write, kept, arguments, status
):
    path = write("rows.csv", "segmentId,customerId", *rows_of("S1", kept), "S1,C1")
    dry = upsert("segment_customers", path, "--mode", "replace", "--dry-run", *arguments)
    answer = upsert("segment_customers", path, "--mode", "replace", *arguments)
    assert (answer.status, dry.status) == (status, status)
    assert len(customers_of_s1()) == (500 if status else len(kept) + 1)
    assert ("C1" in customers_of_s1()) is (status == 0)
    if status:
        assert answer.json["error"] == dry.json["error"] == "too_many_removals"
        assert f"{500 - len(kept)} of 500 customers of segments would be removed" in answer.message
        assert f"--max-removed {500 - len(kept)}" in answer.message


def test_an_import_that_removed_too_much_is_resumed_with_a_higher_limit(many_members, upsert, write):
    path = write("rows.csv", "segmentId,customerId", "S1,M1")
    assert upsert("segment_customers", path, "--mode", "replace").json["error"] == "too_many_removals"
    resumed = upsert("segment_customers", path, "--mode", "replace", "--resume", "--max-removed", "499")
    assert resumed.counts == {"unchanged": 1, "removed": 499}


@pytest.mark.parametrize("arguments", [["--dry-run"], [], ["--atomic"]])
def test_a_deletion_is_judged_for_the_whole_file_before_the_first_batch(
    many_members, upsert, write, arguments
):
    path = write("rows.csv", "segmentId,customerId", *rows_of("S1", range(300)))
    arguments = ["--mode", "delete", "--batch-size", 60, *arguments]
    answer = upsert("segment_customers", path, *arguments)
    assert (answer.status, answer.json["error"]) == (2, "too_many_removals")
    assert "300 of 500" in answer.message
    assert "Nothing was removed or changed." in answer.message
    assert len(customers_of_s1()) == 500
    if arguments[-1] == 60:
        resumed = upsert("segment_customers", path, *arguments, "--resume", "--max-removed", "60%")
        assert resumed.counts == {"removed": 300}
        assert len(customers_of_s1()) == 200


def test_segments_that_later_batches_name_count_from_the_beginning(many_members, upsert, write):
    """101 of the 500 in S1 are too many, but not of the 1,500 that are stored in both segments."""
    arguments = ["--mode", "delete", "--batch-size", 60]
    path = write("rows.csv", "segmentId,customerId", *rows_of("S1", range(101)), "S2,M0")
    assert upsert("segment_customers", path, *arguments).counts == {"removed": 102}


@pytest.fixture
def many_of_each(many_members):
    """202 of each kind whose rows are deleted by an operation, named M0 to M201."""
    tenant = many_members.tenant
    for number in range(202):
        ProductFactory(tenant=tenant, external_id=f"M{number}")
        LegalEntityFactory(tenant=tenant, external_id=f"M{number}")
        CategoryFactory(tenant=tenant, external_id=f"M{number}", code=f"m{number}")
        SegmentFactory(site=many_members.site, external_id=f"M{number}")
        CouponFactory(tenant=tenant, code=f"M{number}")
    return many_members


@pytest.mark.parametrize(
    ("kind", "model", "column"),
    [
        ("customers", Customer, "id"),
        ("legal_entities", LegalEntity, "id"),
        ("products", Product, "id"),
        ("categories", Category, "id"),
        ("segments", Segment, "id"),
        ("coupons", Coupon, "code"),
    ],
)
def test_a_deletion_in_batches_removes_all_or_nothing_of_what_is_too_much(
    many_of_each, upsert, write, kind, model, column
):
    path = write("rows.csv", column, *(f"M{number}" for number in range(202)))
    arguments = ["--mode", "delete", "--batch-size", 50]
    before = list(model.objects.order_by("pk").values())
    refused = upsert(kind, path, *arguments)
    assert (refused.status, refused.json["error"]) == (2, "too_many_removals")
    assert "202 of " in refused.message
    assert list(model.objects.order_by("pk").values()) == before
    assert upsert(kind, path, *arguments, "--max-removed", "202").counts == {"removed": 202}


def test_what_takes_others_along_is_deleted_in_small_batches_first(many_of_each, upsert, write, monkeypatch):
    """Nobody knows how much goes along; the limit is that of the whole file all the same."""
    monkeypatch.setattr(runner, "FIRST_DELETIONS", 2)
    sizes = []
    apply = ImportRunner._apply

    def noting(work, slices):
        taken = list(slices)
        sizes.append(sum(map(len, taken)))
        apply(work, iter(taken))

    monkeypatch.setattr(ImportRunner, "_apply", noting)
    path = write("rows.csv", "id", *(f"M{number}" for number in range(5)))
    refused = upsert("categories", path, "--mode", "delete", "--max-removed", "4")
    assert (refused.json["error"], sizes, Category.objects.filter(code__startswith="m").count()) == (
        "too_many_removals",
        [],
        202,
    )
    assert upsert("categories", path, "--mode", "delete", "--max-removed", "5").counts == {"removed": 5}
    assert sizes[0] == 2


def test_a_batch_of_deletions_is_as_large_as_the_one_before_was_quick():
    order = SimpleNamespace(batch_size=1_000, mode=Mode.DELETE)
    assert [rows_of_next_deletion(order, 100, seconds) for seconds in (0.1, 2.0, 20.0, 900.0)] == [
        1_000,
        100,
        10,
        1,
    ]


def test_what_is_deleted_along_in_any_batch_counts_before_the_first(shop, upsert, write):
    for number in range(150):
        LegalEntityFactory(tenant=shop.tenant, external_id=f"sub-{number}", parent=shop.company)
    LegalEntityFactory(tenant=shop.tenant, external_id="first")
    path = write("rows.csv", "id", "first", "L1")
    arguments = ["--mode", "delete", "--batch-size", 1]
    answer = upsert("legal_entities", path, *arguments)
    assert (answer.status, answer.json["error"]) == (2, "too_many_removals")
    assert "152 of 152 legal entities would be removed" in answer.message
    assert LegalEntity.objects.count() == 152
    assert upsert("legal_entities", path, *arguments, "--max-removed", "100%").counts == {"removed": 2}
    assert LegalEntity.objects.count() == 0


def test_a_deletion_that_is_resumed_is_judged_with_what_it_removed_before(
    many_members, upsert, write, monkeypatch
):
    path = write("rows.csv", "segmentId,customerId", *rows_of("S1", range(300)))
    arguments = ["--mode", "delete", "--batch-size", 60]
    apply = ImportRunner._apply

    def stopped_after_two(work, slices):
        if work.report.total.removed == 120:
            raise KeyboardInterrupt
        apply(work, slices)

    with monkeypatch.context() as patch:
        patch.setattr(ImportRunner, "_apply", stopped_after_two)
        stopped = upsert("segment_customers", path, *arguments, "--max-removed", "300")
    assert (stopped.json["error"], len(customers_of_s1())) == ("stopped", 380)
    refused = upsert("segment_customers", path, *arguments, "--resume")
    assert (refused.json["error"], len(customers_of_s1())) == ("too_many_removals", 380)
    assert "300 of 500" in refused.message
    assert "No more rows were removed." in refused.message
    resumed = upsert("segment_customers", path, *arguments, "--resume", "--max-removed", "300")
    assert resumed.counts == {"removed": 300}
    assert len(customers_of_s1()) == 200


def test_a_replacement_keeps_what_any_line_of_the_file_names(many_members, upsert, write):
    """It is one transaction whatever the size of a batch, though the lines of a segment are far apart."""
    lines = [row for number in range(450) for row in rows_of("S1", range(number, number + 1)) + ["S2,M7"]]
    path = write("rows.csv", "segmentId,customerId", *lines)
    arguments = ["--mode", "replace", "--batch-size", 1, "--max-removed", "100%"]
    assert upsert("segment_customers", path, *arguments).json["removed"] == 50 + 999
    assert customers_of_s1() == {f"M{number}" for number in range(450)}
    assert CustomerAssignment.objects.filter(segment__external_id="S2").count() == 1


def test_deletions_of_other_kinds_are_measured_by_the_rows_of_the_tenant(many_members, upsert, write):
    path = write("rows.csv", "id", *(f"M{number}" for number in range(202)))
    answer = upsert("customers", path, "--mode", "delete")
    assert (answer.status, answer.json["error"]) == (2, "too_many_removals")
    assert "202 of 1,005 customers would be removed" in answer.message
    assert Customer.objects.count() == 1_005
    assert upsert("customers", path, "--mode", "delete", "--max-removed", "21%").counts == {"removed": 202}


def test_what_is_deleted_along_counts_as_removed(shop, upsert, write):
    for number in range(150):
        LegalEntityFactory(tenant=shop.tenant, external_id=f"sub-{number}", parent=shop.company)
    path = write("rows.csv", "id", "L1")
    for arguments in (["--dry-run"], []):
        answer = upsert("legal_entities", path, "--mode", "delete", *arguments)
        assert (answer.status, answer.json["error"]) == (2, "too_many_removals")
        assert "151 of 151 legal entities would be removed" in answer.message
    assert LegalEntity.objects.count() == 151
    assert upsert("legal_entities", path, "--mode", "delete", "--max-removed", "151").counts == {"removed": 1}
    assert LegalEntity.objects.count() == 0


def test_up_to_a_hundred_rows_need_no_limit(shop, upsert, write):
    category = CategoryFactory(tenant=shop.tenant, external_id="K2", name={"en": "Tea"})
    for number in range(101):
        product = ProductFactory(tenant=shop.tenant, external_id=f"many-{number}")
        CategoryAssignmentFactory(tenant=shop.tenant, category=category, product=product)
    path = write("rows.csv", "categoryId,ref.id", "K2,many-0")
    answer = upsert("category_assignments", path, "--mode", "replace")
    assert answer.counts == {"unchanged": 1, "removed": 100}


@pytest.mark.parametrize("limit", ["-1", "101%", "x", "5 %%", "1e2%", "nan%"])
def test_a_limit_that_is_no_number_is_refused(shop, run, write, limit):
    answer = run(
        "upsert_customers",
        write("a.csv", "id"),
        "--tenant",
        "acme",
        "--mode",
        "delete",
        f"--max-removed={limit}",
    )
    assert answer.status != 0
    assert "max-removed" in answer.message


def test_a_limit_for_a_mode_that_removes_nothing_is_refused(shop, run, write):
    CustomerFactory(tenant=shop.tenant, external_id="X1")
    answer = run("upsert_customers", write("a.csv", "id", "X2"), "--tenant", "acme", "--max-removed", "5%")
    assert (answer.status, Customer.objects.filter(external_id="X2").exists()) == (2, False)
    assert "--mode upsert removes nothing" in answer.message


def test_the_help_explains_the_limit(capsys, run):
    run("upsert_segment_customers", "--help")
    assert "--max-removed N|N%" in capsys.readouterr().out
