from decimal import Decimal
from io import StringIO

import orjson
import pytest
from django.core.management import CommandError, call_command

from coupons.imports.redemptions import past_redemption
from coupons.models import Coupon, Redemption
from coupons.operations.history import import_redemptions
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
    """Run the command on a file of this text; return its exit status, output and error output."""

    def run(text, name="redemptions.csv", **options):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        out, err = StringIO(), StringIO()
        try:
            call_command("import_redemptions", file, tenant="acme", stdout=out, stderr=err, **options)
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    return run


def counters():
    return dict(Coupon.objects.values_list("code", "redemption_count"))


def test_history_is_taken_as_it_is_and_counted_once(run):
    text = (
        f"\ufeff{HEADER}"
        "R1,a,C1,L1,O1,299.30,USD,29.93,USD,2023-04-02T17:18:53.701Z\n"
        "R2,A,,,,10,EUR,1,EUR,2023-04-03T00:00:00Z\n"
        "R3,B,C1,,,10,EUR,1,EUR,2023-04-03T00:00:00Z\n"
    )
    assert run(text) == (0, "3 recorded, 0 known already, 0 refused\n", "")
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
    assert run(text) == (0, "0 recorded, 3 known already, 0 refused\n", "")
    assert counters() == {"A": 2, "B": 6}


def test_rows_without_ids_and_repeated_orders_count_once(run):
    text = (
        f"{HEADER}"
        ",A,C1,,O1,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        "other,A,C1,,O1,99,EUR,1,EUR,2023-04-03T00:00:00Z\n"
        ",A,C1,,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
        ",A,C1,,,10,EUR,1,EUR,2023-04-02T00:00:00Z\n"
    )
    assert run(text) == (0, "2 recorded, 2 known already, 0 refused\n", "")
    assert run(text) == (0, "0 recorded, 4 known already, 0 refused\n", "")
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
    assert run(orjson.dumps(row).decode() + "\n\n", name="history.jsonl")[0] == 0
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
    status, out, err = run(text, rejects=tmp_path / "rejects.csv")
    assert (status, out) == (1, "1 recorded, 0 known already, 6 refused\n")
    assert err.splitlines() == [
        "line 2: There is no coupon with the code NOWHERE.",
        "line 3: There is no customer C2.",
        "line 4: There is no legal entity L2.",
        "line 5: Without a customer nobody acts for a legal entity.",
        "line 6: redeemedAt: redeemedAt is a date without a time and an offset; send an instant such as"
        " 2024-01-31T12:00:00.000Z.; orderTotal.amount: This is a number.",
        "line 8: The row has more cells than the header.",
    ]
    rejects = (tmp_path / "rejects.csv").read_text(encoding="utf-8").splitlines()
    assert rejects[0] == "line,reason,row"
    assert rejects[1] == (
        '2,There is no coupon with the code NOWHERE.,"R1,nowhere,,,,10,EUR,1,EUR,2023-04-02T00:00:00Z"'
    )
    assert len(rejects) == 7
    assert counters() == {"A": 1, "B": 5}


def test_nothing_done_is_status_2(run):
    status, out, _ = run("not json\n", name="history.jsonl")
    assert (status, out) == (2, "0 recorded, 0 known already, 1 refused\n")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("code,colour\n", "a.csv", "unknown: colour"),
        ("id,code\n", "a.csv", "missing: redeemedAt"),
        ("x", "a.txt", "Say --format csv or --format jsonl."),
    ],
)
def test_file_that_cannot_be_read_is_refused_whole(run, text, name, message):
    with pytest.raises(CommandError, match=message) as refusal:
        run(text, name=name)
    assert refusal.value.returncode == 2


def test_missing_file_and_unknown_tenant(shop, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_redemptions", tmp_path / "none.csv", tenant="acme")
    with pytest.raises(CommandError, match="There is no tenant nobody"):
        call_command("import_redemptions", tmp_path / "none.csv", tenant="nobody")


@pytest.mark.parametrize("size", [1, 20])
def test_import_takes_a_constant_number_of_statements(shop, size, django_assert_num_queries):
    rows = [
        past_redemption(
            {
                "code": "A",
                "orderCode": f"O{number}",
                "customerNumber": "C1",
                "orderTotal": {"amount": 1},
                "discount": {"amount": 1},
                "redeemedAt": "2023-04-02T00:00:00Z",
            }
        )
        for number in range(size)
    ]
    # savepoint and release; settings, coupons, customers, legal entities, rows, counters
    with django_assert_num_queries(8):
        import_redemptions(tenant_id=shop.pk, rows=rows)
    assert counters()["A"] == size
