"""Runs real web servers; they answer /healthz without any database."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from config.server import granian
from config.server.embedded_postgres.processes import command_of
from config.server.granian import ServerFile, ServerUnavailable, require_free_port
from config.server.parent import WatchedWorker
from tests.faults.servers import PROJECT, PatientServer
from tests.waiting import PATIENCE, wait_until

CLAIM = """
import sys, time
from pathlib import Path
from config.server.granian import ServerFile
ServerFile(Path(sys.argv[1])).claim()
print("claimed", flush=True)
time.sleep(60)
"""


STOPPED_AT_ONCE = """
import os, signal
from granian.constants import RuntimeModes
from config.server import worker
from config.server.front import Front
from config.server.heartbeats import Heartbeats
from config.server.limits import Limits

class Granian:
    def __init__(self, *arguments):
        pass

    def serve_mtr(self, scheduler, loop, shutdown):
        os.kill(os.getpid(), signal.SIGTERM)  # as soon as it accepts connections

class Socket:
    def is_uds(self):
        return False

worker.ASGIWorker = Granian
worker.LINGERING = 0
front = Front(None, Limits(), longest_body=1)
run = worker.run_worker.__wrapped__
named = dict.fromkeys(run.__code__.co_varnames[: run.__code__.co_argcount])
named |= {"worker_id": 1, "loaded": (front, Heartbeats(1))}
named |= {"sock": (Socket(), None), "runtime_mode": RuntimeModes.mt, "ssl_context": ()}
run(**named)
"""


@pytest.fixture(scope="module")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PatientServer]:
    """A server for all tests that leave it running."""
    server = PatientServer(log=tmp_path_factory.mktemp("server") / "log")
    server.start()
    yield server
    server.close()


@pytest.fixture
def claimed(tmp_path) -> Iterator[subprocess.Popen]:
    """Another process that holds the server file of the folder."""
    holder = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "claimed\n"
    yield holder
    holder.kill()
    holder.wait()
    holder.stdout.close()


def test_workers_end_when_their_server_is_killed_and_the_port_is_free_again(tmp_path):
    server = PatientServer(log=tmp_path / "log")
    server.start()
    workers = server.pids()
    assert len(workers) == 1

    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(command_of(pid) for pid in workers))

    assert server.status_of("/healthz") == 0
    require_free_port("127.0.0.1", server.port)
    server.close()


FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("chunks", [True, False])  # without a length it goes in chunks
def test_a_body_is_read(web_server, chunks):
    """Either way needs the private names of granian that config.server.worker uses."""
    parts = (b"grant_type=pass", b"word&client_id=a&client_secret=b")
    body = iter(parts) if chunks else b"".join(parts)
    status, content = web_server.send("POST", "/oauth/token", body, **FORM)
    assert (status, json.loads(content)["error"]) == (400, "unsupported_grant_type")


def test_a_worker_that_is_stopped_as_soon_as_it_serves_ends_in_good_order():
    """SIGTERM may come while the worker is still starting threads: it waits for no client then either."""
    done = subprocess.run([sys.executable, "-c", STOPPED_AT_ONCE], cwd=PROJECT, timeout=PATIENCE)
    assert done.returncode == 0


def test_the_pinned_granian_is_the_one_that_was_tried():
    pinned = (PROJECT / "requirements.txt").read_text().splitlines()
    assert f"granian=={version('granian')}" in pinned


def test_a_worker_that_has_ended_is_collected_by_one_thread(monkeypatch):
    """The kernel tells only one thread of the end; another that asks it takes the worker for alive."""
    collecting = set()
    collect = os.waitpid

    def note(pid: int, options: int) -> tuple[int, int]:
        if pid == worker.inner.pid:
            collecting.add(threading.current_thread())
        return collect(pid, options)

    worker = WatchedWorker(None, 0, time.sleep, (PATIENCE,))
    monkeypatch.setattr(os, "waitpid", note)
    worker.start()
    assert worker.is_alive()
    worker.join(0.0)
    assert worker.is_alive()

    worker.kill()
    worker.join(PATIENCE)

    assert not worker.is_alive()
    assert collecting == {worker.watcher}
    assert worker.inner.exitcode == -signal.SIGKILL


def test_killed_worker_is_replaced(web_server):
    [worker] = web_server.pids()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not command_of(worker) and web_server.status_of("/healthz") == 200)

    assert worker not in web_server.pids()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:8123"),  # noqa: S104
        ("::", "http://[::1]:8123"),
        ("127.0.0.2", "http://127.0.0.2:8123"),
    ],
)
def test_a_start_says_where_it_listens(monkeypatch, capsys, host, address):
    monkeypatch.setattr(granian, "_answers", lambda host, port: True)
    granian._announce(host, 8123, with_demo=False)
    said = capsys.readouterr().out
    assert [line.split()[-1] for line in said.splitlines() if "http" in line] == [
        f"{address}/admin/",
        f"{address}/docs",
    ]


def test_second_server_on_the_port_is_refused(web_server):
    port = web_server.port
    with pytest.raises(ServerUnavailable, match=f"^Port {port} of 127.0.0.1 is in use by another program"):
        require_free_port("127.0.0.1", port)


def test_second_server_of_the_checkout_is_refused(tmp_path, claimed):
    with pytest.raises(ServerUnavailable, match=rf"^The server is already running \(process {claimed.pid}\)"):
        ServerFile(tmp_path).claim()


def test_stopping_ends_the_running_server_once(tmp_path, claimed):
    assert ServerFile(tmp_path).stop() is True
    assert claimed.wait() == -signal.SIGTERM
    assert ServerFile(tmp_path).stop() is False


def test_stopping_spares_the_process_that_inherited_the_number_of_a_dead_server(tmp_path):
    stranger = subprocess.Popen(["sleep", "60"])
    (tmp_path / "server.pid").write_text(f"{stranger.pid}\n")

    assert ServerFile(tmp_path).stop() is False
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_stopping_without_any_server_does_nothing(tmp_path):
    assert ServerFile(tmp_path).stop() is False


def test_metrics_of_all_workers_and_the_access_log(tmp_path):
    """The database is away, which leaves out what is read of it."""
    server = PatientServer(
        workers=2,
        log=tmp_path / "log",
        VAR_DIR=str(tmp_path),
        DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing",
        METRICS_TOKEN="a-token-of-the-metrics",
        ACCESS_LOG="1",
        LOG_FORMAT="json",
    )

    def page() -> str:
        return server.send("GET", "/metrics", Authorization="Bearer a-token-of-the-metrics")[1].decode()

    count = 'segments_http_request_seconds_count{method="GET",route="(none)",status="404"} 20.0'
    try:
        server.start()
        wait_until(lambda: 'segments_web_slots{lane="reads"} 6.0' in page())  # both workers have said so
        for number in range(20):
            assert server.send("GET", "/nothing", X_Request_Id=f"n-{number}")[0] == 404
        wait_until(lambda: count in page().splitlines())
        assert 'segments_readings_failed{source="database"} 1.0' in page().splitlines()
        server.process.terminate()
        server.process.wait(PATIENCE)
    finally:
        server.close()
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if '"logger":"access"' in line]
    assert {f"n-{number}" for number in range(20)} <= {line["request_id"] for line in lines}
    assert not list((tmp_path / "metrics").iterdir())
