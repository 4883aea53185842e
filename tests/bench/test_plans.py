"""The plans of the hot paths' statements on the small data set: found by index, whatever is cached."""

import json
import re
from collections.abc import Iterator

import pytest
from django.db import connection
from psycopg import ClientCursor

from bench.cases import Case, cases_of
from bench.replays import FreshId, Statement, perform
from bench.scales import SCALES
from core.json_types import JsonObject
from core.tenancy.identifiers import generate_id

pytestmark = pytest.mark.django_db
BIG = {
    "accounts_customer",
    "catalog_category",
    "catalog_categoryassignment",
    "catalog_product",
    "coupons_coupon",
    "coupons_couponsegment",
    "segments_customerassignment",
    "segments_itemassignment",
}
SCANS = ("Seq Scan", "Index Scan", "Index Only Scan")
PLANNED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


def cases() -> dict[str, Case]:
    """The cases by name, made anew for each test: their tokens are rows."""
    return {case.name: case for case in cases_of(SCALES["small"], 0.1, shoppers=1)}


def plan_of(statement: Statement) -> JsonObject:
    """Return PostgreSQL's plan: the one for all values where it is kept, else the one for these values."""
    quoted = ClientCursor(connection.connection)
    statement = statement.with_params(lambda value: generate_id() if value is FreshId else value)
    with connection.cursor() as cursor:
        if not statement.prepared:
            text = quoted.mogrify(statement.sql, statement.params)
            cursor.execute(f"EXPLAIN (FORMAT JSON) {text}".replace("%", "%%"), [])
            return json_of(cursor.fetchone())
        numbers = iter(range(1, 1_000))
        text = re.sub("%s", lambda _: f"${next(numbers)}", statement.sql)
        values = ", ".join(quoted.mogrify("%s", [value]) for value in statement.params)
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE hot AS {text}".replace("%", "%%"), [])
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE hot ({values})".replace("%", "%%"), [])
        found = json_of(cursor.fetchone())
        cursor.execute("DEALLOCATE hot")
        return found


def json_of(row: tuple[str]) -> JsonObject:
    [explained] = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    return explained["Plan"]


def read_whole(plan: JsonObject) -> Iterator[str]:
    """Yield the tables that a plan reads from end to end: as they lie, or in the order of an index."""
    if plan["Node Type"] in SCANS and "Index Cond" not in plan:
        yield plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from read_whole(below)


@pytest.mark.parametrize("name", [name for name in cases() if name != "authentication and routing only"])
def test_no_statement_of_a_hot_path_reads_a_big_table_from_end_to_end(small, name: str):
    case = cases()[name]
    request = case.requests()[0]
    perform(request)
    replay = perform(request)
    assert replay.status == case.status
    planned = [statement for statement in replay.statements if statement.sql.startswith(PLANNED)]
    assert {table for statement in planned for table in read_whole(plan_of(statement))} & BIG == set()


def test_a_table_that_is_read_from_end_to_end_would_be_seen(small):
    statement = Statement("SELECT count(*) FROM catalog_product WHERE code LIKE %s", ("%1",))
    assert list(read_whole(plan_of(statement))) == ["catalog_product"]
