"""Workers that are killed at any moment lose no event, and let none overtake another of its key.

`WEBHOOK_KILLS=100 make test ARGS=tests/events/test_killed_workers.py` kills more often.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from events.feed.reader import start_feed
from events.models import Delivery, Lane
from tests.events.receiver import Receiver
from tests.events.webhooks import Webhooks, ids
from tests.factories.accounts import SiteFactory
from tests.factories.events import SubscriptionFactory
from tests.factories.segments import SegmentFactory
from tests.faults.servers import PROJECT, database_url
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = int(os.environ.get("WEBHOOK_KILLS", "4"))
SEGMENTS = 5
EVENTS = 60 + 6 * ROUNDS  # of a segment: more than arrive before the last kill


@pytest.fixture
def start(tmp_path: Path, real_time: None) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start background workers, and end them with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_worker() -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "work"],
                cwd=PROJECT,
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "config.settings",
                    "DEBUG": "1",
                    "DATABASE_URL": database_url(),
                    "VAR_DIR": str(tmp_path),
                },
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        return process

    yield start_worker
    for process in processes:
        process.kill()
        process.wait()


def test_every_event_arrives_whenever_workers_are_killed(
    start: Callable[[], subprocess.Popen[bytes]], shop: Webhooks, receiver: Receiver
) -> None:
    def answer(request: object, handler: object) -> None:
        time.sleep(0.01)  # so that there is something to kill
        original(request, handler)

    def original(request: object, handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Content-Length", "0")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]

    receiver.answers["/hook"] = answer
    target = shop.target(f"{receiver.url}/hook")
    made = {
        key: shop.happen(target, count=EVENTS, order_key=key)
        for key in [f"segment {number}" for number in range(SEGMENTS)]
    }
    for number in range(ROUNDS):
        worker = start()
        before = len(receiver.received)
        wait_until(lambda before=before: len(receiver.received) >= before + 8 + 3 * (number % 8))  # type: ignore[misc]  # noqa: B023
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        Lane.objects.update(leased_until=None)  # what time does, a minute later
    start()
    wait_until(lambda: not Delivery.objects.filter(state="PENDING").exists())
    assert set(Delivery.objects.values_list("state", flat=True)) == {"DELIVERED"}
    arrived = [request.event_id for request in receiver.received]
    for events in made.values():
        first_times = list(dict.fromkeys(one for one in arrived if one in set(ids(events))))
        assert first_times == ids(events)
        places = [arrived.index(one) for one in first_times]
        assert all(earlier < later for earlier, later in pairwise(places))


def test_every_committed_change_arrives_and_none_that_was_rolled_back(
    start: Callable[[], subprocess.Popen[bytes]], shop: Webhooks, receiver: Receiver
) -> None:
    shop.target(f"{receiver.url}/hook")
    SubscriptionFactory(tenant=shop.tenant)
    start_feed(shop.tenant.pk, at=timezone.now())
    site = SiteFactory(tenant=shop.tenant)
    committed = []
    for number in range(ROUNDS):
        before = len(receiver.received)
        worker = start()
        for place in range(10):
            name = f"kept-{number}-{place}"
            SegmentFactory(site=site, external_id=name)
            committed.append(name)
            with transaction.atomic():
                SegmentFactory(site=site, external_id=f"undone-{number}-{place}")
                transaction.set_rollback(True)
        wait_until(lambda before=before: len(receiver.received) > before)  # type: ignore[misc]
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        Lane.objects.update(leased_until=None)
    start()
    wait_until(lambda: {request.payload["id"] for request in receiver.received} >= set(committed))
    wait_until(lambda: not Delivery.objects.filter(state="PENDING").exists())
    assert {request.payload["id"] for request in receiver.received} == set(committed)
