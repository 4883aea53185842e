"""kill -9 at any moment, of workers and of the database's backends: each commit is in the feed once.

`WEBHOOK_KILLS=100 make test ARGS=tests/events/feed/test_killed_worker.py` kills more often.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction

from events.models import Event
from segments.models import Segment
from tests.events.feed.conftest import subscribe
from tests.factories.segments import SegmentFactory
from tests.faults.servers import PROJECT, database_url
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("WEBHOOK_KILLS", "14"))
TYPES = ("customer-segment.segment-created", "customer-segment.segment-deleted")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Start background workers, which end with the test."""
    processes = []

    def start_worker() -> subprocess.Popen:
        environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "1",
            "DATABASE_URL": database_url(),
            "VAR_DIR": str(tmp_path),
            "SERVICE_ROLE": "background",
        }
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "work"], cwd=PROJECT, env=environ, stdout=log, stderr=log
            )
        processes.append(process)
        return process

    yield start_worker
    for process in processes:
        process.kill()
        process.wait()


def end_backends_of_readers() -> None:
    """End the sessions that are at work on a position, as kill -9 of their backends would."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state <> 'idle'"
            " AND (query LIKE '%events_event%' OR query LIKE '%events_feedposition%')"
        )


def test_every_commit_once_and_no_rolled_back_change(tenant, site, start):
    subscribe(tenant, *TYPES)
    chance = random.Random(7)
    is_over = threading.Event()
    committed: list[str] = []

    def write() -> None:
        number = 0
        try:
            while not is_over.is_set():
                number += 1
                with transaction.atomic():
                    segment = SegmentFactory(site=site, external_id=f"N{number}")
                    if number % 3 == 0:
                        transaction.set_rollback(True)
                    else:
                        committed.append(segment.external_id)
                if number % 5 == 0:
                    Segment.objects.filter(pk=segment.pk).delete()
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    healthy, victim = start(), start()
    wait_until(lambda: Event.objects.exists())
    for _ in range(ROUNDS):
        seen = Event.objects.count()
        wait_until(lambda seen=seen: Event.objects.count() > seen)
        if chance.random() < 0.5:
            end_backends_of_readers()
        elif chance.random() < 0.5:
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
            victim = start()
        else:
            os.kill(healthy.pid, signal.SIGKILL)
            healthy.wait()
            healthy = start()
    is_over.set()
    writer.join()
    deleted = [name for name in committed if int(name[1:]) % 5 == 0]
    wait_until(lambda: Event.objects.count() >= len(committed) + len(deleted))

    events = Event.objects.order_by("pk").values_list("type", "payload")
    assert [payload["id"] for name, payload in events if name == TYPES[0]] == committed
    assert [payload["id"] for name, payload in events if name == TYPES[1]] == deleted
