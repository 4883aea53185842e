from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from core.background.jobs import JobKind, enqueue_job
from core.background.lag import background_lag
from core.background.models import Job, JobState, TaskState, Worker
from core.background.tasks import Task
from core.background.worker import DELAYS, MOST_ATTEMPTS, BackgroundWorker, WorkKind
from core.errors import InvalidInput
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def prepared() -> BackgroundWorker:
    worker = BackgroundWorker()
    worker.prepare()
    return worker


def enqueue(now, kind="count", **arguments) -> Job:
    return enqueue_job(kind, tenant_id=None, arguments=arguments, requested_by="test", at=now)


def test_a_task_runs_at_once_and_again_after_its_interval(register, clock):
    ran = []
    register(Task("tidy", run=lambda at: bool(ran.append(at)), interval=HOUR))
    worker = prepared()
    assert worker.work_once() is True
    assert worker.work_once() is False
    clock.advance(HOUR - timedelta(seconds=1))
    assert worker.work_once() is False
    clock.advance(timedelta(seconds=1))
    assert worker.work_once() is True
    assert [later - ran[0] for later in ran] == [timedelta(0), HOUR]


def test_a_task_with_more_to_do_goes_on_at_once(register):
    left = [True, True, False]
    register(Task("tidy", run=lambda at: left.pop(0), interval=HOUR))
    assert BackgroundWorker().run_until_idle().slices == {"tidy": 3}


def test_a_task_with_a_query_runs_while_that_finds_work(register, now):
    waiting = []
    register(
        Task("evaluate", run=lambda at: bool(waiting.clear()), due_since=lambda: min(waiting, default=None))
    )
    worker = prepared()
    assert worker.work_once() is False
    waiting.append(now - HOUR)
    assert background_lag(now).oldest_due == now - HOUR
    assert worker.work_once() is True
    assert worker.work_once() is False


def test_a_failing_task_does_not_stop_the_others_and_comes_again_later_and_later(register, clock, caplog):
    tried, tidied = [], []

    def fail(at):
        tried.append(at)
        raise ZeroDivisionError("division by zero\nwith a second line")

    register(Task("broken", run=fail, interval=HOUR))
    register(Task("tidy", run=lambda at: bool(tidied.append(at)), interval=HOUR))
    worker = prepared()
    for delay in (0, *DELAYS, DELAYS[-1]):
        clock.advance(timedelta(seconds=delay) - timedelta(milliseconds=1))
        if delay:
            worker.work_once()
        clock.advance(timedelta(milliseconds=1))
        count = len(tried)
        worker.work_once()
        assert len(tried) == count + 1
    assert len(tried) == 2 + len(DELAYS)
    assert len(tidied) == 1
    state = TaskState.objects.get(name="broken")
    assert (state.failures, state.error) == (len(tried), "ZeroDivisionError: division by zero")
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert lines[0] == "Task broken failed and is tried again in 1 s: ZeroDivisionError: division by zero"
    assert len(lines) == len(tried)
    assert background_lag(clock.at).failing_tasks == ("broken",)


def test_a_success_forgets_former_failures(register, clock):
    outcomes = [ZeroDivisionError(), None]

    def run(at):
        if error := outcomes.pop(0):
            raise error
        return False

    register(Task("tidy", run=run, interval=HOUR))
    worker = prepared()
    worker.work_once()
    clock.advance(timedelta(seconds=1))
    worker.work_once()
    state = TaskState.objects.get()
    assert (state.failures, state.error, state.due_at) == (0, "", clock.at + HOUR)


def test_a_killed_attempt_leaves_the_task_due_after_a_short_delay(register, clock):
    """SystemExit takes the place of kill -9: no code of the worker runs after it."""

    def die(at):
        raise SystemExit

    register(Task("deadly", run=die, interval=HOUR))
    worker = prepared()
    with pytest.raises(SystemExit):
        worker.work_once()
    assert TaskState.objects.get().due_at == clock.at + timedelta(seconds=1)


def test_a_job_is_done_slice_by_slice(register, now):
    def count(job, at):
        job.progress = {"done": job.progress.get("done", 0) + 1}
        job.result = {"counted": job.progress["done"]}
        return job.progress["done"] < job.arguments["upto"]

    register(JobKind("count", run=count))
    job = enqueue(now, upto=3)
    assert BackgroundWorker().run_until_idle().slices == {"count": 3}
    job.refresh_from_db()
    assert (job.state, job.progress, job.result, job.error) == (
        JobState.DONE,
        {"done": 3},
        {"counted": 3},
        "",
    )
    assert (job.started_at, job.finished_at) == (now, now)


def test_what_waits_longest_comes_first_and_nothing_starves(register, now):
    order = []

    def slow(job, at):
        order.append(job.arguments["name"])
        return order.count(job.arguments["name"]) < 3

    register(JobKind("count", run=slow))
    register(Task("tidy", run=lambda at: bool(order.append("task")), interval=HOUR))
    worker = prepared()
    TaskState.objects.update(due_at=now - timedelta(seconds=1))
    enqueue(now, name="a")
    enqueue(now, name="b")
    worker.run_until_idle()
    assert order == ["task", "a", "b", "a", "b", "a", "b"]


def test_a_failing_slice_leaves_nothing_behind_and_is_tried_again(register, clock):
    def run(job, at):
        Tenant.objects.create(name=f"made{job.attempts}")
        job.progress = {"done": 1}
        if job.attempts < 2:
            raise ZeroDivisionError("no")
        return False

    register(JobKind("count", run=run))
    job = enqueue(clock.at)
    worker = prepared()
    worker.work_once()
    job.refresh_from_db()
    assert (job.state, job.progress, job.error) == (JobState.RUNNING, {}, "ZeroDivisionError: no")
    assert not Tenant.objects.filter(name="made1").exists()
    clock.advance(timedelta(seconds=1))
    worker.work_once()
    job.refresh_from_db()
    assert (job.state, job.progress, job.error) == (JobState.DONE, {"done": 1}, "")


def test_a_refused_job_fails_at_once_with_the_reason(register, now):
    def refuse(job, at):
        raise InvalidInput("The change has been undone before.")

    register(JobKind("count", run=refuse))
    job = enqueue(now)
    assert BackgroundWorker().run_until_idle().failures == 1
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.FAILED, "The change has been undone before.")


def test_a_job_that_ends_its_worker_each_time_is_given_up(register, clock):
    def die(job, at):
        raise SystemExit

    register(JobKind("count", run=die))
    job = enqueue(clock.at)
    worker = prepared()
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(SystemExit):
            worker.work_once()
        clock.advance(HOUR)
    worker.work_once()
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.FAILED, "The worker ended each time it tried.")
    assert worker.work_once() is False


def test_jobs_of_another_version_are_left_alone(register, now):
    Job.objects.create(kind="of a newer version", due_at=now - HOUR)
    assert BackgroundWorker().run_until_idle().slices == {}
    assert background_lag(now).oldest_due is None
    with pytest.raises(ValueError, match="There is no kind of job named other"):
        enqueue(now, kind="other")


def test_stopping_ends_the_round_after_the_present_slice(register, now):
    worker = prepared()

    def run(job, at):
        worker.stop()
        return True

    register(JobKind("count", run=run))
    enqueue(now)
    enqueue(now)
    assert worker.run_until_idle().slices == {"count": 1}


def test_an_idle_worker_sends_two_statements_a_look(register, django_assert_num_queries):
    register(Task("tidy", run=lambda at: False, interval=HOUR))
    register(JobKind("count", run=lambda job, at: False))
    worker = prepared()
    worker.work_once()
    with django_assert_num_queries(2):
        worker.work_once()


def test_the_lag_takes_three_statements(register, now, django_assert_num_queries):
    for name in ("a", "b", "c"):
        register(Task(name, run=lambda at: False, interval=HOUR))
    register(JobKind("count", run=lambda job, at: False))
    worker = prepared()
    worker.work_once()
    enqueue(now - HOUR)
    with django_assert_num_queries(3):
        lag = background_lag(now)
    assert (lag.last_heartbeat, lag.oldest_due, lag.failing_tasks) == (now, now - HOUR, ())


def test_the_command_does_what_is_due_and_ends(register, now, capsys):
    register(Task("tidy", run=lambda at: False, interval=HOUR))
    call_command("work", "--once")
    call_command("work", "--once")
    assert capsys.readouterr().out == "tidy: 1 slice\nNothing was due.\n"


def test_the_command_fails_when_something_failed(register):
    def fail(at):
        raise ZeroDivisionError

    register(Task("broken", run=fail, interval=HOUR))
    with pytest.raises(CommandError, match="1 failed; they are due again later"):
        call_command("work", "--once")


def test_a_worker_outlives_its_database(register, monkeypatch, caplog):
    worker = BackgroundWorker()
    outcomes = [OperationalError("the connection is lost"), OperationalError("refused"), False, False]

    def work_once():
        outcome = outcomes.pop(0)
        if not outcomes:
            worker.stop()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(worker, "work_once", work_once)
    monkeypatch.setattr(worker, "_pause", lambda seconds: None)
    monkeypatch.setattr(connection, "close", lambda: None)
    worker.run()
    assert outcomes == []
    assert [record.getMessage() for record in caplog.records] == [
        "The background worker waits for the database: OperationalError: the connection is lost"
    ]
    assert not Worker.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_again_and_again_delays_a_task_for_half_a_minute_at_most(
    register, now, clock
):
    is_down = [False, *(True for _ in DELAYS)]

    def run(at):
        if is_down.pop():
            fetch_rows(Sql("SELECT pg_terminate_backend(pg_backend_pid())"))
        return False

    register(Task("send", run=run, due_since=lambda: now, is_prompt=True))
    worker = BackgroundWorker(WorkKind.PROMPT)
    worker.prepare()
    for number in range(1, len(DELAYS) + 1):
        assert worker.work_once() is True
        state = TaskState.objects.get(name="send")
        assert state.failures == number
        assert state.due_at - clock.at == timedelta(seconds=min(DELAYS[number - 1], 30))
        clock.at = state.due_at
    assert worker.work_once() is True
    assert TaskState.objects.get(name="send").failures == 0


def test_prompt_tasks_are_done_apart_from_all_other_work(register, now):
    waiting = [now]
    register(
        Task(
            "read",
            run=lambda at: bool(waiting.clear()),
            due_since=lambda: min(waiting, default=None),
            is_prompt=True,
        )
    )
    register(Task("tidy", run=lambda at: False, interval=HOUR))
    register(JobKind("count", run=lambda job, at: False))
    enqueue(now)
    assert BackgroundWorker(WorkKind.OTHER).run_until_idle().slices == {"tidy": 1, "count": 1}
    assert BackgroundWorker(WorkKind.PROMPT).run_until_idle().slices == {"read": 1}
    waiting.append(now)
    assert BackgroundWorker().run_until_idle().slices == {"read": 1}


def test_several_workers_do_a_prompt_task_at_once(register, now):
    other = BackgroundWorker(WorkKind.PROMPT)
    ran = []

    def run(at):
        ran.append(at)
        if len(ran) == 1:
            other.work_once()  # while this slice is being done
        return False

    register(Task("read", run=run, due_since=lambda: now if len(ran) < 2 else None, is_prompt=True))
    BackgroundWorker(WorkKind.PROMPT).run_until_idle()
    assert len(ran) == 2


def test_a_prompt_task_that_fails_is_tried_again_later(register, now, clock):
    faults = [RuntimeError("broken"), RuntimeError("broken")]

    def run(at):
        if faults:
            raise faults.pop()
        return False

    register(Task("read", run=run, due_since=lambda: now, is_prompt=True))
    worker = BackgroundWorker(WorkKind.PROMPT)
    worker.prepare()
    for delay in DELAYS[:2]:
        assert worker.work_once() is True
        assert worker.work_once() is False
        clock.advance(timedelta(seconds=delay))
    worker.work_once()
    state = TaskState.objects.get(name="read")
    assert (state.failures, state.error, worker.summary.failures) == (0, "", 2)
