"""Background workers that the server process watches: killed, stopped, replaced, ended with it."""

import os
import signal

import pytest

from config.server.background import LESS_URGENT
from config.server.embedded_postgres.processes import command_of
from config.server.granian import WorkerFile
from core.background.models import Worker
from tests.faults.servers import pause
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def background_pids() -> set[int]:
    """The processes of the background workers that have begun to work."""
    return {int(name.rpartition(":")[2]) for name in Worker.objects.values_list("name", flat=True)}


def the_new_one(former: set[int]) -> int:
    wait_until(lambda: background_pids() - former)
    [pid] = background_pids() - former
    return pid


def niceness_of(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def test_a_background_worker_that_is_killed_or_stopped_is_replaced(serve_database, tmp_path):
    server = serve_database(background=1, VAR_DIR=str(tmp_path))
    first = the_new_one(set())
    wait_until(lambda: niceness_of(first) == min(niceness_of(server.process.pid) + LESS_URGENT, 19))

    os.kill(first, signal.SIGKILL)
    second = the_new_one({first})
    pause(second)
    third = the_new_one({first, second})

    assert "background-worker-1 does not answer; it is replaced" in server.log.read_text()
    assert command_of(second) == []
    assert server.status_of("/healthz") == 200

    server.process.send_signal(signal.SIGHUP)
    fourth = the_new_one({first, second, third})
    server.process.send_signal(signal.SIGTERM)

    assert server.process.wait(PATIENCE) == 0
    assert command_of(fourth) == []
    assert background_pids() == {first, second}  # the others have signed off
    assert WorkerFile.stop_all(tmp_path) == 0


def test_background_workers_end_with_a_killed_server(serve_database, tmp_path):
    server = serve_database(background=2, VAR_DIR=str(tmp_path))
    wait_until(lambda: len(background_pids()) == 2)
    pids = background_pids()
    os.kill(server.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(command_of(pid) for pid in pids))


def test_a_database_that_is_away_keeps_no_background_worker_from_ending(serve, tmp_path):
    nowhere = "postgres://nobody@127.0.0.1:9/nothing"
    server = serve(background=1, DATABASE_URL=nowhere, VAR_DIR=str(tmp_path))
    line = "The background worker waits for the database"
    wait_until(lambda: line in server.log.read_text())
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert server.log.read_text().count(line) == 1
    assert "refused to stop" not in server.log.read_text()
