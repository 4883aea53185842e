from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from core.bodies import read_body
from core.imports.models import ImportRun
from coupons.bodies import PastRedemption
from coupons.imports.redemptions import REDEMPTION_FILES
from coupons.models import Coupon, Redemption
from coupons.operations.history import import_redemptions
from tests.core.imports.conftest import run_command
from tests.factories.accounts import CustomerFactory, LegalEntityFactory
from tests.factories.coupons import CouponFactory

HEADER = (
    "id,code,customerNumber,legalEntityId,orderCode,orderTotal.amount,orderTotal.currency,"
    "discount.amount,discount.currency,redeemedAt\n"
)


@pytest.fixture
def shop(tenant):
    CustomerFactory(tenant=tenant, external_id="C1")
    LegalEntityFactory(tenant=tenant, external_id="L1")
    CouponFactory(tenant=tenant, code="A", max_redemptions=1)
    CouponFactory(tenant=tenant, code="B", is_deleted=True, redemption_count=5)
    return tenant


@pytest.fixture
def run(shop, tmp_path):
    """Run the command on a file of this text; return what it came to."""

    def run(text, *arguments, name="redemptions.csv"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return run_command("import_redemptions", file, "--tenant", "acme", "--json", *arguments)

    return run


def counters():
    return dict(Coupon.objects.values_list("code", "redemption_count"))


def test_history_is_recorded_as_it_is_and_counted_once(run):
    text = (
        f"\ufeff{HEADER}"
        "R1,a,C1,L1,O1,299.30,USD,29.93,USD,2023-04-02T17:18:53.701Z\n"
        "R2,A,,,,10,EUR,1,EUR,2023-04-03T00:00:00Z\n"
        "R3,B,C1,,,10,EUR,1,EUR,2023-04-03T00:00:00Z\n"
    )
    answer = run(text)
    assert (answer.status, answer.counts) == (0, {"created": 3})
    assert counters() == {"A": 2, "B": 6}
    redemption = Redemption.objects.get(external_id="R1")
    assert (
        redemption.customer.external_id,
        redemption.customer_number,
        redemption.legal_entity_id,
        redemption.order_code,
        redemption.order_total_amount,
        redemption.order_total_currency,
        redemption.discount_amount,
        redemption.redeemed_at.isoformat(),
    ) == (
        "C1",
        "C1",
        "L1",
        "O1",
        Decimal("299.3"),
        "USD",
        Decimal("29.93"),
        "2023-04-02T17:18:53.701000+00:00",
    )
    assert run(text).counts == {"unchanged": 3}
    assert counters() == {"A": 2, "B": 6}


def test_rows_without_ids_and_repeated_orders_count_once(run):
    text = (
        f"{HEADER}"
        ",A,C1,,O1,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        "other,A,C1,,O1,99,EUR,1,EUR,2023-04-03T00:00:00Z\n"
        ",A,C1,,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        ",A,C1,,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
    )
    assert run(text).counts == {"created": 2, "unchanged": 2}
    assert run(text).counts == {"unchanged": 4}
    assert counters()["A"] == Redemption.objects.filter(coupon__code="A").count() == 2


def test_json_lines_hold_the_bodies_of_the_api(run, manager):
    row = {
        "id": "R1",
        "code": "A",
        "customerNumber": "C1",
        "orderTotal": {"amount": 299.3, "currency": "USD"},
        "discount": {"amount": 29.93, "currency": "USD"},
        "redeemedAt": "2023-04-02T17:18:53.701Z",
    }
    assert run(orjson.dumps(row).decode() + "\n\n", name="history.jsonl").status == 0
    assert manager.get("/coupon/acme/coupons/A/redemptions").json() == [row]


def test_refused_rows_are_reported_with_line_and_reason_and_spoil_nothing(run, tmp_path):
    text = (
        f"{HEADER}"
        "R1,nowhere,,,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        "R2,A,C2,,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        "R3,A,C1,L2,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        "R4,A,,L1,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        "R5,A,C1,,,ten,EUR,1,EUR,2023-04-02\n"
        "R6,A,C1,,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        "R7,A,C1,,,10,EUR,1,EUR,2023-04-02T00:00:00Z,surplus\n"
    )
    rejects = tmp_path / "rejects.csv"
    answer = run(text, "--rejects", rejects)
    assert (answer.status, answer.counts) == (1, {"created": 1, "refused": 6})
    assert [line.split(",", maxsplit=10)[10] for line in rejects.read_text().splitlines()] == [
        "rejected.line,rejected.reason,rejected.message",
        "2,coupon_not_found,There is no coupon with the code NOWHERE.",
        "3,invalid_input,There is no customer C2.",
        "4,invalid_input,There is no legal entity L2.",
        "5,invalid_input,Without a customer nobody acts for a legal entity.",
        "6,invalid_input,orderTotal.amount is no number: 'ten'.",
        '8,invalid_input,"The line has 11 values, the header has 10 columns."',
    ]
    assert counters() == {"A": 1, "B": 5}
    run_row = ImportRun.objects.get()
    assert (run_row.kind, run_row.created, run_row.refused) == ("redemptions", 1, 6)


def test_dry_run_of_history_writes_nothing(run):
    text = f"{HEADER}R1,A,C1,,O1,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
    assert run(text, "--dry-run").counts == {"created": 1}
    assert not Redemption.objects.exists()
    assert counters()["A"] == 0


def test_amounts_of_history_are_exact(run):
    run(f"{HEADER}R1,A,,,,999999999999.123457,EUR,0.1,EUR,2023-04-02T00:00:00Z\n")
    assert Redemption.objects.get().order_total_amount == Decimal("999999999999.123457")


@pytest.mark.parametrize("name", ["history.csv", "history.jsonl.zst"])
def test_exported_history_is_unchanged_when_it_is_imported(run, tmp_path, name):
    run(
        f"{HEADER}"
        "R1,A,C1,L1,O1,299.30,USD,29.93,USD,2023-04-02T17:18:53.701Z\n"
        "R2,B,,,,10,EUR,1,EUR,2023-04-03T00:00:00Z\n"
    )
    path = tmp_path / name
    assert run_command("export_redemptions", path, "--tenant", "acme").status == 0
    answer = run_command("import_redemptions", path, "--tenant", "acme", "--json")
    assert (answer.status, answer.counts) == (0, {"unchanged": 2})


def test_nothing_done_is_status_2(run):
    answer = run("not json\n", name="history.jsonl")
    assert (answer.status, answer.json["refusedByReason"]) == (2, {"broken_line": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,colour\n", "Line 1: There is no column 'colour'."),
        ("id,code\n", "Line 1: the column redeemedAt is missing."),
    ],
)
def test_file_that_cannot_be_read_is_refused_whole(run, text, message):
    answer = run(text)
    assert answer.status == 2
    assert answer.message.startswith(message)


def test_the_columns_of_history_are_in_the_docs():
    text = (Path(__file__).resolve().parents[2] / "docs" / "coupons.md").read_text()
    for column in REDEMPTION_FILES.columns:
        assert column.name in text, column.name


@pytest.mark.parametrize("size", [1, 20])
def test_import_takes_a_constant_number_of_statements(shop, size, django_assert_num_queries):
    rows = [
        read_body(
            PastRedemption,
            {
                "code": "A",
                "orderCode": f"O{number}",
                "customerNumber": "C1",
                "orderTotal": {"amount": 1},
                "discount": {"amount": 1},
                "redeemedAt": "2023-04-02T00:00:00Z",
            },
        )
        for number in range(size)
    ]
    # savepoint and release; settings, coupons, customers, legal entities, rows, counters
    with django_assert_num_queries(8):
        import_redemptions(tenant_id=shop.pk, rows=rows)
    assert counters()["A"] == size


@pytest.mark.usefixtures("real_time")
def test_an_import_is_undone_and_its_uses_are_not_counted_any_more(run):
    run(f"{HEADER}R1,A,C1,,O1,10,EUR,1,EUR,2023-04-02T17:18:53.701Z\n")
    assert counters() == {"A": 1, "B": 5}
    answer = run_command("undo_import", ImportRun.objects.get().pk, "--json")
    assert (answer.status, answer.json["deleted"]) == (0, 1)
    assert counters() == {"A": 0, "B": 5}
    assert not Redemption.objects.exists()
