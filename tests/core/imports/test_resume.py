"""Imports that are killed, stopped or run twice at once end with the rows of an undisturbed one."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.models import Customer
from core.imports import runs
from core.imports.merge_statements import Mode
from core.imports.models import ImportRun
from core.imports.resources import registered_resources
from core.imports.runner import ImportRunner
from core.imports.uploads import Upload, submit_import
from core.json_types import JsonObject
from core.sql.locks import Lock
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment
from tests.concurrency.threads import at_once, in_processes
from tests.core.imports.conftest import members, run_command
from tests.core.imports.processes import start_command
from tests.factories.segments import SegmentFactory
from tests.waiting import PATIENCE, wait_for_killed_sessions

KILLS = 20
BATCH = 60  # rows
CUSTOMERS = 1_500
SEGMENTS = 4
MEGABYTE = 1_024  # of the KiB that Linux counts in


@pytest.fixture
def file(tenant, site, tmp_path) -> Path:
    """A file of all customers in all segments, and a few rows that are refused, in no order."""
    for number in range(SEGMENTS):
        SegmentFactory(site=site, external_id=f"S{number}")
    Customer.objects.bulk_create(
        Customer(tenant=tenant, external_id=f"C{number}", email=f"c{number}@example.com")
        for number in range(CUSTOMERS)
    )
    rows = [f"S{segment},C{customer}" for segment in range(SEGMENTS) for customer in range(CUSTOMERS)]
    rows += [f"S0,X{number}" for number in range(60)]
    random.Random(3).shuffle(rows)
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["segmentId,customerId", *rows]) + "\n")
    return path


def start(file: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a real process that imports the file into the test's database."""
    return start_command("upsert_segment_customers", str(file), "--tenant", "acme", "--json", *arguments)


def resident_peak(process_id: int) -> int:
    """Return the most memory that the process ever held, in KiB; 0 when it has just ended."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def finish(file: Path, *arguments: str) -> JsonObject:
    """Run the import to its end, with less than 300 MB of memory, and return what it tells."""
    process = start(file, *arguments)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident_peak(process.pid))
        time.sleep(0.02)
    out, error = process.communicate()
    assert process.returncode == 1, error.decode()  # some rows are always refused
    assert peak < 300 * MEGABYTE
    return orjson.loads(out)


def _finds(cursor: Any, query: str) -> bool:
    cursor.execute(query)
    return bool(cursor.fetchall())


def committed_line() -> int:
    run = ImportRun.objects.first()
    return run.committed_line if run else 0


def kill_at_work(file: Path, *arguments: str, batches: int, moment: float) -> None:
    """Kill the import when it has committed so many batches, and so many seconds more have passed.

    Its process is a fork of this one, which saves the time that Python and Django take to start.
    """
    command = partial(run_command, "upsert_segment_customers", file, "--tenant", "acme", "--json", *arguments)
    begin = committed_line()
    [process] = in_processes(1, command)
    while process.is_alive() and committed_line() < begin + batches * BATCH:
        time.sleep(0.005)
    time.sleep(moment)
    process.kill()
    process.join(PATIENCE)
    wait_for_killed_sessions()


def kill_moments(choose: random.Random) -> Iterator[tuple[int, float]]:
    """Yield batches and seconds: mostly within or between two batches, now and then while still starting."""
    for number in range(KILLS):
        is_early = number % 5 == 0
        yield (0, choose.uniform(0, 0.3)) if is_early else (choose.randint(1, 6), choose.uniform(0, 0.05))


@pytest.mark.django_db(transaction=True)
def test_an_import_that_is_killed_twenty_times_ends_with_the_right_rows(tenant, file, tmp_path):
    rejects = tmp_path / "rejects.csv"
    arguments = ["--batch-size", str(BATCH), "--rejects", str(rejects)]
    expected = sorted((f"S{n % SEGMENTS}", f"C{n // SEGMENTS}", None, 1) for n in range(SEGMENTS * CUSTOMERS))
    finish(file, *arguments)
    undisturbed = rejects.read_bytes()
    CustomerAssignment.objects.all().delete()
    ImportRun.objects.all().delete()
    committed = set()
    for batches, moment in kill_moments(random.Random(11)):
        resumes = ["--resume"] if ImportRun.objects.exists() else []
        kill_at_work(file, *arguments, *resumes, batches=batches, moment=moment)
        committed.add(committed_line())
        if ImportRun.objects.filter(state="finished").exists():  # it was quicker than the kill: begin anew
            assert sorted(members(tenant)) == expected
            CustomerAssignment.objects.all().delete()
            ImportRun.objects.all().delete()
    reported = finish(file, *arguments, *(["--resume"] if ImportRun.objects.exists() else []))
    assert sorted(members(tenant)) == expected
    assert (reported["rows"], reported["created"], reported["refused"]) == (6_060, 6_000, 60)
    run = ImportRun.objects.get()
    assert (run.state, run.rows, run.created, run.refused) == ("finished", 6_060, 6_000, 60)
    assert run.rejects.count() == 60
    assert rejects.read_bytes() == undisturbed
    assert len(committed) > 10  # the kills came at different places of the file


@pytest.mark.django_db(transaction=True)
def test_an_import_that_was_terminated_says_how_to_go_on(file):
    process = start(file, "--batch-size", "10")
    while process.poll() is None and not ImportRun.objects.filter(committed_line__gt=0).exists():
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "run the same command with --resume" in error.decode()
    assert ImportRun.objects.get().state == "stopped"
    assert finish(file, "--resume")["created"] == SEGMENTS * CUSTOMERS


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_a_commit_leaves_no_batch_half_counted(file, monkeypatch, when, number):
    commit = type(connections["default"]).commit
    sent = []

    def interrupted_commit(wrapper: Any) -> None:
        is_third = not sent and ImportRun.objects.filter(rows__gte=20).exists()
        if is_third and when == "before":
            sent.append(os.kill(os.getpid(), number))
        commit(wrapper)
        if is_third and when == "after":
            sent.append(os.kill(os.getpid(), number))

    monkeypatch.setattr(type(connections["default"]), "commit", interrupted_commit)
    answer = run_command("upsert_segment_customers", file, "--tenant", "acme", "--json", "--batch-size", "10")

    run = ImportRun.objects.get()
    assert (answer.status, answer.json["error"], run.state) == (1, "stopped", "stopped")
    assert answer.json["created"] == run.created == CustomerAssignment.objects.count() > 0
    assert len(sent) == 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.django_db(transaction=True)
def test_a_signal_cancels_the_statement_that_is_running(tenant, site, file, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(600); RETURN NULL; END'"
        )
        cursor.execute(
            "CREATE TRIGGER wait AFTER INSERT ON segments_customerassignment EXECUTE FUNCTION wait()"
        )
    try:
        process = start(file)
        sleeping = (
            "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
        with connection.cursor() as cursor:
            while process.poll() is None and not _finds(cursor, sleeping):
                time.sleep(0.05)
        process.terminate()
        _, error = process.communicate(timeout=PATIENCE)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION wait CASCADE")
    assert (process.returncode, ImportRun.objects.get().state) == (2, "stopped")
    assert "run the same command with --resume" in error.decode()


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_file_at_once_end_with_the_right_rows(tenant, file):
    turns = iter([[], ["--batch-size", "500"]])

    def act() -> Any:
        return run_command("upsert_segment_customers", file, "--tenant", "acme", "--json", *next(turns))

    answers = at_once(2, act)
    assert [answer.status for answer in answers] == [1, 1]
    reported = [answer.counts for answer in answers]
    assert sum(counts.get("created", 0) for counts in reported) == SEGMENTS * CUSTOMERS
    assert all(counts["refused"] == 60 and "changed" not in counts for counts in reported)
    assert {version for *_, version in members(tenant)} == {1}


@pytest.mark.django_db(transaction=True)
def test_two_files_in_opposite_order_do_not_deadlock(tenant, file, tmp_path):
    header, *rows = file.read_text().splitlines()
    backwards = tmp_path / "backwards.csv"
    backwards.write_text("\n".join([header, *reversed(rows)]) + "\n")
    turns = iter([file, backwards])

    def act() -> Any:
        return run_command(
            "upsert_segment_customers", next(turns), "--tenant", "acme", "--json", "--mode", "replace"
        )

    answers = at_once(2, act)
    assert [answer.status for answer in answers] == [1, 1], [answer.message for answer in answers]
    assert len(members(tenant)) == SEGMENTS * CUSTOMERS


def test_there_is_nothing_to_resume_without_an_unfinished_import_of_this_file(shop, upsert, write):
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    answer = upsert("segment_customers", path, "--resume")
    assert (answer.status, answer.json["run"]) == (0, None)
    assert answer.json["message"].startswith("There is nothing to resume")
    upsert("segment_customers", path)
    assert upsert("segment_customers", path, "--resume").json["run"] is None
    ImportRun.objects.update(state="stopped")
    other = write("other.csv", "segmentId,customerId", "S1,C2")
    assert upsert("segment_customers", other, "--resume").json["run"] is None
    assert upsert("segment_customers", path, "--resume", "--mode", "delete").json["run"] is None
    assert upsert("segment_customers", path, "--resume").json["run"] == ImportRun.objects.get().pk


def test_the_file_of_refused_rows_is_gone_on_with_after_a_resume_without_it(
    shop, upsert, write, tmp_path, monkeypatch
):
    path = write("rows.csv", "segmentId,customerId", "S1,X1", "S1,X2", "S1,X3")
    rejects = tmp_path / "rejects.csv"
    apply = ImportRunner._apply
    applied: list[object] = []

    def stop_after_one(work: ImportRunner, slices: Any) -> None:
        if applied:
            raise KeyboardInterrupt
        applied.append(slices)
        apply(work, slices)

    with monkeypatch.context() as stopping:
        stopping.setattr(ImportRunner, "_apply", stop_after_one)
        for arguments in (["--rejects", rejects], ["--resume"]):
            applied.clear()
            answer = upsert("segment_customers", path, "--batch-size", 1, *arguments)
            assert answer.json["error"] == "stopped"
    upsert("segment_customers", path, "--batch-size", 1, "--resume", "--rejects", rejects)
    lines = rejects.read_text().splitlines()
    assert [line[:6] for line in lines] == ["segmen", "S1,X1,", "S1,X3,"]


def test_a_dry_run_is_not_resumed(shop, run, write):
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    answer = run("upsert_segment_customers", path, "--tenant", "acme", "--resume", "--dry-run")
    assert (answer.status, answer.message) == (2, "A dry run has nothing to resume.")


def sent(tenant: Tenant, file: Path, **options: Any) -> ImportRun:
    """Queue an import of the file's rows as a request does."""
    upload = Upload(
        kind=registered_resources()["segment_customers"],
        mode=Mode.REPLACE,
        tenant=tenant.record,
        content=file.read_bytes(),
        name=str(file),
        **options,
    )
    return submit_import(upload, at=timezone.now())


@pytest.mark.parametrize("is_dry_run", [True, False])
@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
def test_an_import_that_came_in_a_request_is_not_resumed(shop, upsert, write, state, is_dry_run):
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    stopped = upsert("segment_customers", path, "--mode", "replace").json["run"]
    run = sent(shop.tenant, path, is_dry_run=is_dry_run)
    if state != "running":  # as a worker leaves it, of whose parts one was applied
        ImportRun.objects.filter(pk=run.pk).update(state=state, rows=1)
        run.parts.all().delete()
    answer = upsert("segment_customers", path, "--mode", "replace", "--resume")
    assert answer.message == ""
    assert answer.json["run"] is None
    ImportRun.objects.filter(pk=stopped).update(state="stopped")
    other = write("rows.csv", "segmentId,customerId", "S1,C2")
    assert upsert("segment_customers", other, "--mode", "replace", "--resume").json["error"] == (
        "file_has_changed"
    )
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    assert upsert("segment_customers", path, "--mode", "replace", "--resume").json["run"] == stopped


@pytest.mark.django_db(transaction=True)
def test_an_import_that_another_process_works_on_is_not_resumed(
    shop, upsert: Callable[..., Any], write, monkeypatch, capsys
):
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    upsert("segment_customers", path)
    run = ImportRun.objects.get()
    ImportRun.objects.update(state="running")
    monkeypatch.setattr(runs, "PATIENCE_SECONDS", 0.3)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [int(Lock.IMPORT_RUN), run.pk])
        assert upsert("segment_customers", path, "--resume").json["error"] == "import_is_running"
    finally:
        other.close()
    assert f"Waiting: import {run.pk} is at work in another process." in capsys.readouterr().err
    assert upsert("segment_customers", path, "--resume").json["run"] == run.pk


def is_held(run: ImportRun) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_locks WHERE classid = %s AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [int(Lock.IMPORT_RUN), run.pk],
        )
        return bool(cursor.fetchall())


@pytest.mark.parametrize("state", ["undone", "finished"])
def test_an_import_that_ends_while_it_is_waited_for_is_not_resumed(shop, upsert, write, monkeypatch, state):
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    upsert("segment_customers", path)
    ImportRun.objects.update(state="stopped")
    hold_run = runs.hold_run

    def wait_for_its_end(run: ImportRun, waiting: Callable[[str], None]) -> None:
        ImportRun.objects.filter(pk=run.pk).update(state=state)
        hold_run(run, waiting)

    monkeypatch.setattr(runs, "hold_run", wait_for_its_end)
    answer = upsert("segment_customers", path, "--resume")
    run = ImportRun.objects.get()
    assert (answer.status, answer.json["run"], run.state) == (0, None, state)
    assert f"import {run.pk} has ended meanwhile" in answer.json["message"]
    assert not is_held(run)


def test_a_new_run_is_held_before_anybody_can_see_it(shop, upsert, write):
    held: list[tuple[int]] = []

    def watch(execute: Callable[..., Any], statement: str, *arguments: Any) -> Any:
        if statement.startswith(f'INSERT INTO "{ImportRun._meta.db_table}"'):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
                    " AND pid = pg_backend_pid()",
                    [int(Lock.IMPORT_RUN)],
                )
                held.extend(cursor.fetchall())
        return execute(statement, *arguments)

    with connection.execute_wrapper(watch):
        upsert("segment_customers", write("rows.csv", "segmentId,customerId", "S1,C1"))
    assert held == [(ImportRun.objects.get().pk,)]
    assert not is_held(ImportRun.objects.get())
