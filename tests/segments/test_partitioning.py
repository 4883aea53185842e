"""Members of segments are partitioned while others write and the command is killed, and all works after."""

import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, models, transaction

from accounts.operations.customers import delete_customers
from config.server import backups
from core.background.tasks import registered_tasks
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from segments import partitioning
from segments.bodies import CustomerAssignmentBody, Member
from segments.models import CustomerAssignment, Segment
from segments.operations.customers import delete_customer_assignments, upsert_customer_assignments
from segments.partitioning import COPY, OLD, TABLE, mirror, partition_memberships, state
from segments.tallies import held_by
from segments.visibility import segments_of_member
from tests.concurrency.threads import in_processes
from tests.conftest import NOW, Api
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory
from tests.waiting import wait_for_killed_sessions, wait_until

pytestmark = pytest.mark.usefixtures("own_database")

Members = dict[str, int]
CONSTRAINTS = """
SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype <> 'p' ORDER BY conname
"""


def query(statement: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchall()


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def run(*words: object) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out)
    return out.getvalue()


@pytest.fixture
def own_database(transactional_db: None) -> Iterator[None]:
    """A copy of the tests' database, whose tables may be changed."""
    usual = connection.settings_dict["NAME"]
    name = f"{usual}_partitioned"
    parameters = connection.get_connection_params()

    def maintain(*statements: str) -> None:
        with backups.connect(parameters, dbname="postgres") as session:
            session.autocommit = True
            for statement in statements:
                session.execute(statement.encode())

    wait_for_killed_sessions()
    connection.close()
    maintain(f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}" TEMPLATE "{usual}"')
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual
        maintain(f'DROP DATABASE "{name}" WITH (FORCE)')


def write_at_random(
    segment: Segment, names: list[str], folder: Path, chance: random.Random, done: Any
) -> None:
    """Add, change, remove and import members, delete customers; note who must be there in the end."""
    tenant_id, expected = segment.tenant_id, dict.fromkeys(names[::2], 1)
    steps = 0
    while not done.is_set() or steps < 20:
        steps += 1
        chosen = chance.sample(names, min(len(names), chance.randint(1, 12)))
        kind = chance.choice(["upsert", "upsert", "remove", "import", "delete"])
        if kind == "upsert":
            rows = [CustomerAssignmentBody(customer_id=name) for name in chosen]
            written = upsert_customer_assignments(
                tenant_id=tenant_id, segment_id=segment.external_id, rows=rows, at=NOW
            )
            assert [row.created for row in written] == [name not in expected for name in chosen]
            expected.update({name: expected.get(name, 0) + 1 for name in chosen})
        elif kind == "remove":
            members = [Member(name, None) for name in chosen]
            delete_customer_assignments(tenant_id=tenant_id, segment_id=segment.external_id, members=members)
            expected = {name: version for name, version in expected.items() if name not in chosen}
        elif kind == "import":
            file = folder / f"{segment.external_id}.jsonl"
            lines = [{"segmentId": segment.external_id, "customerId": name} for name in chosen]
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            call_command("upsert_segment_customers", str(file), "--tenant", "acme", "--quiet")
            expected.update({name: expected.get(name, 1) for name in chosen})
        elif len(names) > 150:
            delete_customers(tenant_id=tenant_id, external_ids=chosen[:2])
            names = [name for name in names if name not in chosen[:2]]
            expected = {name: version for name, version in expected.items() if name not in chosen[:2]}
    (folder / segment.external_id).write_text(json.dumps(expected))


def members_of(segment: Segment) -> Members:
    rows = CustomerAssignment.objects.filter(segment=segment)
    return dict(rows.values_list("customer__external_id", "version"))


def references_of_partitions() -> int:
    [(count,)] = query(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text ~ %s",
        f"^{TABLE}_p[0-9]",
    )
    return count


def test_no_change_is_lost_while_others_write_and_the_command_is_killed(tenant, site, tmp_path):
    segments, writers = [], []
    for number in range(3):
        segment = SegmentFactory(site=site, external_id=f"S{number}")
        names = [f"{number}-{one}" for one in range(200)]
        customers = CustomerFactory.create_batch(200, tenant=tenant)
        for customer, name in zip(customers, names, strict=True):
            type(customer).objects.filter(pk=customer.pk).update(external_id=name)
        rows = [CustomerAssignment(tenant=tenant, segment=segment, customer=one) for one in customers[::2]]
        CustomerAssignment.objects.bulk_create(rows)
        segments.append((segment, names))
    done = multiprocessing.get_context("fork").Event()  # type: ignore[attr-defined]
    for number, (segment, names) in enumerate(segments):
        arguments = (segment, names, tmp_path, random.Random(number), done)
        writers += in_processes(1, lambda arguments=arguments: write_at_random(*arguments))
    moments: list[Callable[[], object]] = [
        lambda: state().has_copy,
        lambda: state().is_mirrored,
        lambda: (state().after or 0) > 0,
        lambda: (found := state()).after and found.after == found.last,
        lambda: references_of_partitions() > 0,
    ]

    for has_come in moments:
        [command] = in_processes(1, lambda: partition_memberships(None, slice_rows=5, tell=lambda text: None))
        wait_until(has_come)
        os.kill(command.pid, signal.SIGKILL)
        command.join()
    assert "Done" in run("partition_memberships", "--slice-rows", 50)
    done.set()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert state().partitions == 16
    for segment, _ in segments:
        expected = json.loads((tmp_path / segment.external_id).read_text())
        assert members_of(segment) == expected
        held = held_by(tenant.id, [segment.id])
        assert held[segment.id].members == len(expected)
    newest = CustomerAssignmentFactory(segment=segments[0][0])
    assert newest.pk > max(CustomerAssignment.objects.exclude(pk=newest.pk).values_list("pk", flat=True))


@pytest.fixture
def members(site: Any) -> list[CustomerAssignment]:
    return CustomerAssignmentFactory.create_batch(20, segment=SegmentFactory(site=site, external_id="S1"))


def test_everything_is_there_afterwards_and_later_migrations_work(members, tmp_path):
    constraints, triggers = query(CONSTRAINTS, TABLE), query(partitioning.TRIGGERS, TABLE)
    indexes = {row[0] for row in query(partitioning.INDEXES, TABLE)}
    before = list(CustomerAssignment.objects.order_by("pk").values())

    run("partition_memberships", "--partitions", 3)

    assert "has 3 partitions" in run("partition_memberships", "--dry-run")
    assert "Nothing to do" in run("partition_memberships")
    assert list(CustomerAssignment.objects.order_by("pk").values()) == before
    assert query(CONSTRAINTS, TABLE) == constraints
    assert query(partitioning.TRIGGERS, TABLE) == triggers
    assert {row[0] for row in query(partitioning.INDEXES, TABLE)} == indexes
    with pytest.raises(CommandError, match="too late"):
        run("partition_memberships", "--undo")
    run("partition_memberships", "--drop-old")
    assert query("SELECT to_regclass(%s)", OLD) == [(None,)]

    assert "No planned migration operations" in run("migrate", "--plan")
    run("makemigrations", "--check", "--dry-run")
    index = models.Index(fields=["tenant", "modified_at"], name="members_by_change")
    for _ in range(2):  # as when the first attempt was stopped
        with connection.schema_editor(atomic=False) as editor:
            editor.add_index(CustomerAssignment, index, concurrently=True)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'members_by_change'::regclass"
    assert query(valid) == [(True,)]
    with connection.schema_editor(atomic=False) as editor:
        editor.remove_index(CustomerAssignment, index, concurrently=True)
    assert query("SELECT to_regclass('members_by_change')") == [(None,)]

    members[0].customer.delete()
    run("export_tenant", "acme", tmp_path / "acme.zip")
    [archive] = [Path(run("backup", tmp_path / "backups").strip())]
    restored = f"{connection.settings_dict['NAME']}_restored"
    try:
        run("restore", archive, "--into", restored)
        with backups.connect(connection.get_connection_params(), dbname=restored) as session:
            assert session.execute(f"SELECT count(*) FROM {TABLE}".encode()).fetchall() == [(19,)]
    finally:
        with backups.connect(connection.get_connection_params(), dbname="postgres") as session:
            session.autocommit = True
            session.execute(f'DROP DATABASE IF EXISTS "{restored}" WITH (FORCE)'.encode())
    run("import_tenant", tmp_path / "acme.zip", "--as", "copied")
    assert CustomerAssignment.objects.filter(tenant__name="copied").count() == 19


def test_reads_of_a_customer_ask_one_partition(members):
    run("partition_memberships")
    member = segments_of_member(
        members[0].tenant_id,
        customer=param(members[0].customer_id, "bigint"),
        legal_entity=param(None, "bigint"),
        at=NOW,
    )
    plan = "\n".join(line for (line,) in fetch_rows(sql("EXPLAIN (COSTS OFF) {member}", member=member)))
    assert plan.count(f"{TABLE}_p") == plan.count("on segments_customerassignment_p") == 1, plan
    assert fetch_rows(member) == [(members[0].segment_id,)]


def test_the_api_writes_a_partitioned_table_and_says_what_it_created(members, api: Api):
    run("partition_memberships")
    new, known = CustomerFactory(tenant=members[0].tenant), members[0].customer
    path = "/customer-segment/acme/segments/S1/customers"
    body = [{"customerId": one.external_id} for one in (new, known, new)]

    response = api.put(f"{path}/bulk", body)

    assert [entry["code"] for entry in response.json()] == [201, 204, 204]
    assert members_of(members[0].segment)[known.external_id] == 2
    assert members_of(members[0].segment)[new.external_id] == 2


def test_it_is_taken_back_before_the_names_change(members):
    execute(f"CREATE VIEW watched AS SELECT id FROM {TABLE}")
    with pytest.raises(CommandError, match="the view watched reads it"):
        run("partition_memberships")
    assert "In the way: the view watched reads it." in run("partition_memberships", "--dry-run")
    execute("DROP VIEW watched")
    with connection.cursor() as cursor, transaction.atomic():
        partitioning.make_copy(cursor, 4)
        mirror(cursor)
    with pytest.raises(CommandError, match="A copy with 4 partitions is being filled"):
        run("partition_memberships", "--partitions", 8)
    with pytest.raises(CommandError, match="nothing to drop yet"):
        run("partition_memberships", "--drop-old")
    assert "into 4 parts: changes are mirrored" in run("partition_memberships", "--dry-run")

    assert "is not partitioned" in run("partition_memberships", "--undo")

    assert query("SELECT to_regclass(%s)", COPY) == [(None,)]
    CustomerAssignment.objects.update(version=2)


def test_a_copy_that_differs_never_becomes_the_table(members):
    with connection.cursor() as cursor, transaction.atomic():
        partitioning.make_copy(cursor, 4)
        mirror(cursor)
        partitioning.note(cursor, {"after": members[-1].pk, "last": members[-1].pk})  # which is not true
    with pytest.raises(CommandError, match=f"differ in the keys {members[0].pk}, "):
        run("partition_memberships")
    assert not state().is_partitioned


def test_writers_that_would_not_see_what_was_copied_are_refused(members):
    with connection.cursor() as cursor, transaction.atomic():
        partitioning.make_copy(cursor, 4)
        mirror(cursor)
    write = f"BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE {TABLE} SET version = 2"
    with pytest.raises(OperationalError, match="READ COMMITTED only"):
        execute(write)
    connection.close()
    execute(f"TRUNCATE {TABLE}")
    assert query(f"SELECT count(*) FROM {COPY}") == [(0,)]


def test_the_nightly_task_renews_the_statistics_of_the_whole(members):
    run("partition_memberships")
    CustomerAssignmentFactory(segment=members[0].segment)
    registered_tasks()["analyze partitioned memberships"].run(NOW)
    assert query("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", TABLE) == [(21.0,)]
