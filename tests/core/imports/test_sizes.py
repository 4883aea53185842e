"""PostgreSQL knows how large the tables are that an import looks things up in."""

from datetime import UTC, datetime

import psycopg
import pytest
from django.db import connection

from config.demo import loading
from config.demo.calendar import Calendar
from core.imports.merge import PLANNING, Merge
from segments.imports.assignments import SEGMENT_CUSTOMERS
from segments.models import CustomerAssignment
from tests.config.demo.conftest import Silence

TABLES = ["accounts_customer", "accounts_legalentity", "segments_segment"]


def tables_taken_for_empty() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND reltuples = 0 AND relpages > 0"
            " ORDER BY relname",
            [TABLES],
        )
        return [name for (name,) in cursor.fetchall()]


def run_in_another_session(statement: str) -> list[str]:
    """Run a statement in a session that sees only what is committed; return its notices."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        notices: list[str] = []
        other.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        other.execute(statement)
    return notices


@pytest.fixture
def tables_without_history(db: None) -> None:
    """Give the tables new files and no statistics.

    ANALYZE writes the statistics even if its transaction is rolled back, and VACUUM estimates the rows of the
    pages that it skips from them. So what earlier tests left would decide what a VACUUM counts.
    """
    run_in_another_session(f"TRUNCATE {', '.join(TABLES)} CASCADE")


def test_an_import_looks_at_tables_that_a_vacuum_took_for_empty(tables_without_history, shop, upsert, write):
    run_in_another_session(f"VACUUM {', '.join(TABLES)}")
    assert tables_taken_for_empty() == TABLES

    answer = upsert("segment_customers", write("rows.csv", "segmentId,customerId", "S1,C1", "S1,C2"))

    assert answer.counts == {"created": 2}
    assert CustomerAssignment.objects.count() == 2
    assert tables_taken_for_empty() == []


def test_a_merge_is_planned_with_settings_of_its_own(db):
    seen: dict[str, str] = {}

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(PLANNING)]
            )
            seen.update(cursor.fetchall())

    Merge(SEGMENT_CUSTOMERS, tenant_id=0, at=datetime.now(UTC), locked=look).run([])

    assert seen == PLANNING


def test_no_vacuum_takes_the_tables_of_the_demo_shop_for_empty_before_they_are_committed(db, monkeypatch):
    tables = sorted(model._meta.db_table for model in loading.LOADED)
    said: list[str] = []

    class Seen(Exception):
        """Ends the load before its first row."""

    def look(*_: object) -> None:
        said.extend(
            run_in_another_session(f"VACUUM (SKIP_LOCKED) {', '.join(tables)}")
        )  # like the autovacuum
        raise Seen

    monkeypatch.setattr(loading, "read_purchases", dict)
    monkeypatch.setattr(loading, "read_file", lambda name: [])
    monkeypatch.setattr(loading, "make_tenant", look)
    with pytest.raises(Seen):
        loading.load_demo_shop(
            tenant_name="demo", calendar=Calendar(), at=datetime(2026, 1, 1, tzinfo=UTC), progress=Silence()
        )

    assert said == [f'skipping vacuum of "{table}" --- lock not available' for table in tables]
