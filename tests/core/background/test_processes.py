"""Real workers, on the test's database."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accounts.identity.models import AttemptCounter
from core.background.models import Job, JobState, TaskState, Worker
from core.background.tasks import registered_tasks
from tests.faults.servers import PROJECT, database_url
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(tmp_path: Path, real_time: None) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start workers that know jobs named count, and end with the test."""
    processes = []

    def start_worker(*words: str) -> subprocess.Popen:
        environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "1",
            "DATABASE_URL": database_url(),
            "VAR_DIR": str(tmp_path),
            "PYTHONPATH": str(PROJECT),
            "SERVICE_ROLE": "background",
        }
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(PROJECT / "tests/core/background/counting_worker.py"), *words],
                cwd=PROJECT,
                env=environ,
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        return process

    yield start_worker
    for process in processes:
        process.kill()
        process.wait()


def enqueue(count: int, *, upto: int, seconds: float) -> list[Job]:
    arguments = {"upto": upto, "seconds": seconds}
    at = datetime.now(UTC)
    return [Job.objects.create(kind="count", arguments=arguments, due_at=at) for _ in range(count)]


def done(jobs: list[Job]) -> int:
    return Job.objects.filter(pk__in=[job.pk for job in jobs], state=JobState.DONE).count()


def slices_of(process: subprocess.Popen) -> int:
    return AttemptCounter.objects.filter(attempts=process.pid).count()


def test_two_workers_share_the_work(start):
    jobs = enqueue(4, upto=100_000, seconds=0.02)
    workers = [start(), start()]
    wait_until(lambda: all(slices_of(worker) for worker in workers))
    Job.objects.update(arguments={"upto": 1, "seconds": 0})  # the next slice of each is its last
    wait_until(lambda: done(jobs) == 4)
    counts = Counter(AttemptCounter.objects.values_list("attempts", flat=True))
    assert counts.total() == sum(job.progress["done"] for job in Job.objects.all())
    assert set(counts) == {worker.pid for worker in workers}
    periodic = [name for name, task in registered_tasks().items() if task.interval]
    wait_until(lambda: TaskState.objects.filter(name__in=periodic, finished_at=None).count() == 0)
    assert not TaskState.objects.exclude(error="", failures=0).exists()
    assert Worker.objects.count() == 2


def test_kill_9_loses_and_doubles_nothing(start):
    jobs = enqueue(3, upto=100_000, seconds=0.1)
    healthy = start()
    for _ in range(3):
        victim = start()
        wait_until(lambda process=victim: slices_of(process) > 0)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
    Job.objects.update(arguments={"upto": 1, "seconds": 0})
    wait_until(lambda: done(jobs) == 3)
    assert AttemptCounter.objects.count() == sum(job.progress["done"] for job in Job.objects.all())
    assert set(Job.objects.values_list("attempts", "error")) == {(0, "")}
    assert healthy.poll() is None


def test_sigterm_ends_a_worker_after_its_slice_and_another_one_goes_on(start):
    jobs = enqueue(1, upto=100_000, seconds=0.02)
    worker = start()
    wait_until(lambda: slices_of(worker) > 0)
    worker.terminate()
    assert worker.wait(PATIENCE) == 0
    [job] = Job.objects.all()
    assert job.state == JobState.RUNNING
    assert job.progress == {"done": AttemptCounter.objects.count()}
    assert not Worker.objects.exists()
    Job.objects.update(arguments={"upto": 1, "seconds": 0})
    assert start("--once").wait(PATIENCE) == 0
    assert done(jobs) == 1


def test_an_idle_worker_begins_what_is_queued_later(start):
    worker = start()
    wait_until(lambda: Worker.objects.exists())
    jobs = enqueue(1, upto=1, seconds=0)
    wait_until(lambda: done(jobs) == 1)
    worker.terminate()
    assert worker.wait(PATIENCE) == 0


def test_prompt_tasks_do_not_wait_for_a_slow_slice(start):
    jobs = enqueue(1, upto=1, seconds=600)
    worker = start()
    wait_until(lambda: AttemptCounter.objects.filter(subject="prompt").exists())
    assert done(jobs) == 0
    worker.kill()
