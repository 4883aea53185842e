"""The index of members: blocks of keys say exactly which changes hold a key."""

import re
from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.actors import Actor, ActorType, acting_as
from core.journal.lookups import holds
from core.journal.models import Change
from core.journal.partitions import make_partitions, partitions
from core.journal.undo.rules import undoable_condition
from core.sql.composition import Sql, param
from core.sql.fetching import fetch_rows
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

cheaper_rows = import_module("core.journal.migrations.0006_cheaper_rows")
pytestmark = pytest.mark.django_db
LARGEST_KEY = 2**60
STARTS = st.one_of(st.integers(1, 9_000), st.integers(LARGEST_KEY - 9_000, LARGEST_KEY))
LENGTHS = st.one_of(st.integers(1, 40), st.integers(200, 20_000))
FORMER_BLOCKS = cheaper_rows.FORMER.replace("journal_blocks", "former_blocks")
SPANS = st.lists(st.tuples(STARTS, LENGTHS), min_size=1, max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=SPANS, key=STARTS)
def test_blocks_hold_a_key_exactly_when_the_keys_do(db, spans, key):
    text = "{" + ",".join(f"[{start},{start + length})" for start, length in spans) + "}"
    near = [bound + step for start, length in spans for bound in (start, start + length) for step in (-1, 0)]
    rows = fetch_rows(
        Sql(
            "SELECT it.key, %s::int8multirange @> it.key,"
            " journal_blocks(%s::int8multirange) && journal_blocks_around(it.key)"
            " FROM unnest(%s::bigint[]) AS it (key)",
            (text, text, [key, *near]),
        )
    )
    assert [row for row in rows if row[1] != row[2]] == []
    assert {held for _, held, _ in rows} == {True, False}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=st.lists(st.tuples(STARTS, st.integers(1, 20_000)), max_size=6))
def test_what_was_indexed_by_the_former_function_is_found_by_the_present_one(db, spans):
    text = "{" + ",".join(f"[{start},{start + length})" for start, length in spans) + "}"
    with connection.cursor() as cursor:
        cursor.execute(FORMER_BLOCKS)
    [(found,)] = fetch_rows(
        Sql(
            "SELECT ARRAY(SELECT unnest(journal_blocks(keys)) ORDER BY 1)"
            " = ARRAY(SELECT unnest(former_blocks(keys)) ORDER BY 1)"
            " AND (journal_blocks(keys) IS NULL) = (former_blocks(keys) IS NULL)"
            " FROM (SELECT %s::int8multirange AS keys) AS given",
            (text,),
        )
    )
    assert found


@pytest.mark.parametrize(("keys", "most"), [("[1000001,1020001)", 100), ("[7,8)", 1), ("[16,32)", 1)])
def test_keys_that_follow_each_other_are_few_blocks(keys, most):
    [(count,)] = fetch_rows(Sql("SELECT cardinality(journal_blocks(%s::int8multirange))", (f"{{{keys}}}",)))
    assert count <= most


def test_a_change_is_found_by_a_member_in_the_index(tenant, site):
    one, two = CustomerFactory.create_batch(2, tenant=tenant)
    gold, silver = SegmentFactory.create_batch(2, site=site)
    for segment, customer in ((gold, one), (silver, one), (silver, two)):
        CustomerAssignmentFactory(segment=segment, customer=customer)
    condition = holds("held", param(one.pk, "bigint"))
    statement = Sql(f"SELECT held.key FROM journal_change AS held WHERE {condition.sql}", condition.params)
    assert {key for (key,) in fetch_rows(statement)} == {gold.pk, silver.pk}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement.sql}", statement.params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "journal_blocks_idx" in plan, plan
    assert Change.objects.filter(object="segment-customer").count() == 3


def test_every_partition_finds_the_changes_of_an_occasion_in_an_index(tenant):
    """Of those that are made later, too: newest first, without a sort."""
    make_partitions(datetime(2031, 5, 1, tzinfo=UTC), months_ahead=0)
    with acting_as(Actor(ActorType.CLIENT, "shop", "", "request", "r-1")):
        CustomerFactory(tenant=tenant)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM journal_change_settled WHERE tenant_id = %s AND source_id = 'r-1'"
            " ORDER BY at DESC, id DESC LIMIT 10",
            [tenant.pk],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
        there = partitions(cursor)
    assert "journal_change_2031_05" in there
    assert plan.count("source_id = 'r-1'") == plan.count("Index Cond") == len(there), plan
    assert "->  Sort " not in plan, plan
    with connection.cursor() as cursor:  # without which the planner sorts the changes of an import
        cursor.execute(
            "SELECT attrelid::regclass::text, attoptions FROM pg_attribute JOIN pg_inherits"
            " ON inhrelid = attrelid WHERE inhparent = 'journal_change_settled'::regclass"
            " AND attname = 'source_id'"
        )
        assert dict(cursor.fetchall()) == {name: ["n_distinct=500"] for name in there}


@pytest.mark.parametrize("later", [1, 30])
def test_what_can_be_taken_back_looks_at_changes_of_the_members_only(tenant, site, later):
    """A segment with many changes of others since: the index of members says which are to be looked at."""
    one, *others = CustomerFactory.create_batch(1 + later, tenant=tenant)
    gold = SegmentFactory(site=site)
    for customer in (one, *others):
        CustomerAssignmentFactory(segment=gold, customer=customer)
    statement = f"SELECT {undoable_condition()} FROM journal_change AS change WHERE change.id = %s"
    first = Change.objects.filter(object="segment-customer").order_by("id")[0]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = off")  # by time it reads few rows here, too
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {statement.replace('%%', '%')}", [first.pk])
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute(statement.replace("%%", "%"), [first.pk])
        assert cursor.fetchone() == (True,)
    found = re.findall(r"Bitmap Heap Scan on journal_change\w* held_\d+ \(actual rows=([\d.]+)", plan)
    assert sum(map(float, found)) == 1, plan
