"""A statement that sets derived columns only calls no trigger; nothing else of a coupon goes unrecorded."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from django.db import connection

from core.journal.declarations import recorded, recorded_as
from core.journal.installation import install_triggers
from core.journal.models import Change
from coupons.models import Coupon
from tests.factories.coupons import CouponFactory

pytestmark = pytest.mark.django_db

COUNT = "UPDATE coupons_coupon SET redemption_count = redemption_count + 1 WHERE code = 'SALE'"
RENAME = "UPDATE coupons_coupon SET name = 'Winter' WHERE code = 'SALE'"
CALLS = "SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'journal_coupons_coupon_update'"


@pytest.fixture
def sale() -> Coupon:
    return CouponFactory(code="SALE", name="Summer")


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def calls_of(*statements: str) -> int:
    """Run the statements; return how often they called the trigger's function."""

    def calls() -> int:  # also those of before that the session has not reported yet
        cursor.execute(CALLS)
        [(number,)] = cursor.fetchall() or [(0,)]
        return number

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL track_functions = 'pl'")
        before = calls()
        run(*statements)
        return calls() - before


def updates() -> Sequence[object]:
    rows = Change.objects.filter(object="coupon", kind="updated").order_by("id")
    return list(rows.values_list("external_id", "before", "after"))


RENAMED = [("SALE", {"name": "Summer"}, {"name": "Winter"})]


def test_a_statement_that_counts_calls_nothing(sale):
    assert calls_of(COUNT) == 0
    assert calls_of(RENAME) == 1
    assert updates() == RENAMED


def test_what_is_set_to_what_it_was_is_no_change(sale):
    run("UPDATE coupons_coupon SET name = name, redemption_count = redemption_count + 1")
    assert updates() == []


@pytest.mark.parametrize("statements", [(RENAME, COUNT), (COUNT, RENAME)], ids=["before", "after"])
def test_statements_of_both_kinds_follow_each_other_in_a_transaction(sale, statements):
    run(*statements)
    assert updates() == RENAMED


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO coupons_coupon SELECT * FROM coupons_coupon WHERE code = 'SALE'"
        " ON CONFLICT (id) DO UPDATE SET name = 'Winter'",
        "MERGE INTO coupons_coupon AS coupon USING (VALUES ('SALE')) AS named (code)"
        " ON coupon.code = named.code"
        " WHEN MATCHED AND coupon.name = 'Summer' THEN UPDATE SET name = 'Winter'"
        " WHEN MATCHED THEN UPDATE SET redemption_count = 9",
        f"WITH counted AS ({COUNT.replace('SALE', 'OTHER')} RETURNING id) {RENAME}",
        f"WITH renamed AS ({RENAME} RETURNING id) {COUNT.replace('SALE', 'OTHER')}",
        f"WITH counted AS ({COUNT.replace('SALE', 'OTHER')} RETURNING id), renamed AS ({RENAME} RETURNING id)"
        " SELECT FROM counted, renamed",
    ],
    ids=["upsert", "merge", "counted first", "renamed first", "both first"],
)
def test_each_way_to_set_a_column_is_recorded(sale, statement):
    CouponFactory(code="OTHER", tenant=sale.tenant)
    run(statement)
    assert updates() == RENAMED


def test_what_a_savepoint_takes_back_marks_nothing(sale):
    run("SAVEPOINT before", RENAME, "ROLLBACK TO before")
    assert calls_of(COUNT) == 0
    run("SAVEPOINT after", RENAME, "RELEASE after")
    assert updates() == RENAMED


def test_a_statement_within_another_one_hides_nothing(sale):
    other = CouponFactory(code="OTHER", name="Spring", tenant=sale.tenant)
    within = (
        "CREATE FUNCTION pg_temp.within(statement text) RETURNS text LANGUAGE plpgsql VOLATILE AS"
        " $$ BEGIN EXECUTE statement; RETURN 'Winter'; END $$"
    )
    count_other, rename_other = (one.replace("SALE", "OTHER").replace("'", "''") for one in (COUNT, RENAME))
    run(within, f"UPDATE coupons_coupon SET name = pg_temp.within('{count_other}') WHERE code = 'SALE'")
    assert updates() == RENAMED
    run(f"{COUNT} AND pg_temp.within('{rename_other}') = 'Winter'")
    assert updates() == [*RENAMED, ("OTHER", {"name": "Spring"}, {"name": "Winter"})]
    other.refresh_from_db()
    assert other.redemption_count == 1


def test_a_reference_that_is_cleared_is_recorded(sale):
    code = CouponFactory(code="CODE", terms=sale, tenant=sale.tenant)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'f' AND confrelid = 'coupons_coupon'::regclass"
            " AND conrelid = 'coupons_coupon'::regclass"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE coupons_coupon DROP CONSTRAINT {name}")
    run(
        "ALTER TABLE coupons_coupon ADD FOREIGN KEY (terms_id) REFERENCES coupons_coupon ON DELETE SET NULL",
        "DELETE FROM coupons_coupon WHERE code = 'SALE'",
    )
    assert updates() == [("CODE", {"terms_id": sale.pk}, {"terms_id": None})]
    code.refresh_from_db()
    assert code.terms_id is None


def test_a_trigger_that_went_with_a_column_is_made_again(sale):
    run("SET CONSTRAINTS ALL IMMEDIATE", "DROP TRIGGER journal_columns ON coupons_coupon")
    install_triggers(recorded())
    run(RENAME)
    assert updates() == RENAMED


def test_a_table_whose_derived_columns_matter_from_now_on_loses_the_condition(sale):
    run("SET CONSTRAINTS ALL IMMEDIATE")
    install_triggers([replace(recorded_as("coupon"), ignores_derived=False)])
    assert calls_of(COUNT) == 1
    install_triggers(recorded())
    assert calls_of(COUNT) == 0
    run(RENAME)
    assert updates() == RENAMED


def test_triggers_of_before_are_renewed(sale):
    run(
        "SET CONSTRAINTS ALL IMMEDIATE",
        "DROP TRIGGER journal_columns ON coupons_coupon",
        "CREATE OR REPLACE TRIGGER journal_update AFTER UPDATE ON coupons_coupon"
        " REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT"
        " EXECUTE FUNCTION journal_coupons_coupon_update()",
        "COMMENT ON FUNCTION journal_coupons_coupon_update IS 'of before'",
    )
    assert calls_of(COUNT) == 1
    install_triggers(recorded())
    assert calls_of(COUNT) == 0
    run(RENAME)
    assert updates() == RENAMED
