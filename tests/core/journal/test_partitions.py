"""The months of the journal."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from core.journal.models import Beginning, Change
from core.journal.partitions import DEFAULT, make_partitions, months_from, partitions
from core.journal.past import journal_beginning
from tests.factories.accounts import TenantFactory

pytestmark = pytest.mark.django_db
OLD = datetime(2021, 2, 10, 12, tzinfo=UTC)


def names():
    with connection.cursor() as cursor:
        return partitions(cursor)


def moved_to(at):
    """Write a row of the journal and move it to another time."""
    tenant = TenantFactory()
    Change.objects.filter(tenant=tenant).update(at=at)
    return tenant


def table_of(tenant):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM journal_change WHERE tenant_id = %s", [tenant.pk]
        )
        return [name for (name,) in cursor.fetchall()]


def test_months_go_over_the_end_of_the_year():
    at = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    assert [f"{month:%Y-%m-%d}" for month in months_from(at, 3)] == ["2026-11-01", "2026-12-01", "2027-01-01"]


def test_this_month_and_three_more_are_made_once():
    made = make_partitions(OLD)
    assert made == [f"journal_change_2021_{month:02}" for month in (2, 3, 4, 5)]
    assert make_partitions(OLD) == []
    assert set(made) < set(names())
    assert len(names()) == 9  # with those of the present, and the default one


def test_a_change_without_a_month_is_kept_and_moves_when_the_month_is_made():
    tenant = moved_to(OLD)
    assert table_of(tenant) == [DEFAULT]
    make_partitions(OLD)
    assert table_of(tenant) == ["journal_change_2021_02"]


@pytest.mark.django_db(transaction=True)
def test_making_a_month_does_not_wait_for_long_readers(monkeypatch):
    monkeypatch.setattr("core.journal.partitions.LOCK_TIMEOUT", "20ms")
    reader = connection.copy()
    try:
        with reader.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT count(*) FROM journal_change")
            with pytest.raises(OperationalError, match="lock timeout"):
                make_partitions(OLD)
            cursor.execute("ROLLBACK")
    finally:
        reader.close()


def test_months_that_are_too_old_are_dropped(now):
    make_partitions(OLD)
    old, kept, stray = moved_to(OLD), TenantFactory(), moved_to(OLD - timedelta(days=100))
    Beginning.objects.update(at=OLD)
    output = StringIO()
    call_command("purge_journal", "--older-than", "400d", stdout=output)
    assert [name for name in names() if "2021" in name] == []
    assert (table_of(old), table_of(stray), len(table_of(kept))) == ([], [], 1)
    beginning = months_from(now - timedelta(days=400), 1)[0]
    assert journal_beginning() == beginning
    assert output.getvalue() == (
        "Dropped 2021-02, 2021-03, 2021-04, 2021-05.\n"
        f"The journal begins at {beginning:%Y-%m-%dT%H:%M:%S}.000Z.\n"
    )


def test_what_began_later_does_not_begin_earlier():
    before = journal_beginning()
    output = StringIO()
    call_command("purge_journal", "--older-than", "400d", stdout=output)
    assert journal_beginning() == before
    assert output.getvalue().startswith("Dropped nothing.")


@pytest.mark.parametrize("text", ["400", "d", "-1d", "1w"])
def test_a_span_is_a_number_of_days(text):
    with pytest.raises(CommandError, match="write 400d for 400 days"):
        call_command("purge_journal", f"--older-than={text}")
