"""Runs real web servers; they answer /healthz without any database."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from config.server.embedded_postgres.processes import command_of
from config.server.granian import ServerFile, ServerUnavailable, require_free_port

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds; a busy machine is no fault of the server
CLAIM = """
import sys, time
from pathlib import Path
from config.server.granian import ServerFile
ServerFile(Path(sys.argv[1])).claim()
print("claimed", flush=True)
time.sleep(60)
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def web_server(port) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "config.server.granian", "--host", "127.0.0.1", "--port", str(port)]
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "1"}
    server = subprocess.Popen(
        [*command, "--workers", "1"], cwd=PROJECT, env=environ, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + PATIENCE
    while status_of_health(port) != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield server
    server.kill()
    server.wait()


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


def status_of_health(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def workers_of(server: subprocess.Popen) -> list[int]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in " ".join(command_of(int(pid)))]


def wait_for_the_end_of(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(command_of(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_end_when_their_server_is_killed_and_the_port_is_free_again(web_server, port):
    workers = workers_of(web_server)
    assert len(workers) == 1

    web_server.kill()
    web_server.wait()
    wait_for_the_end_of(workers)

    assert status_of_health(port) == 0
    require_free_port("127.0.0.1", port)


def test_a_body_in_chunks_is_read(web_server, port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    # without a length it goes in chunks
    chunks = iter((b"grant_type=pass", b"word&client_id=a&client_secret=b"))
    connection.request("POST", "/oauth/token", chunks, headers)
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["error"]) == (400, "unsupported_grant_type")
    connection.close()


def test_a_body_of_a_known_length_is_read(web_server, port):
    """Like the one in chunks, this needs the private names of granian that config.server.worker uses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/oauth/token", b"grant_type=password&client_id=a&client_secret=b", headers)
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["error"]) == (400, "unsupported_grant_type")
    connection.close()


def test_the_pinned_granian_is_the_one_that_was_tried():
    pinned = (PROJECT / "requirements.txt").read_text().splitlines()
    assert f"granian=={version('granian')}" in pinned


def test_killed_worker_is_replaced(web_server, port):
    (worker,) = workers_of(web_server)
    os.kill(worker, signal.SIGKILL)
    wait_for_the_end_of([worker])
    deadline = time.monotonic() + PATIENCE
    while status_of_health(port) != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert worker not in workers_of(web_server)


def test_second_server_on_the_port_is_refused(web_server, port):
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


def get(port: int, path: str, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    found = answer.status, answer.getheader("X-Request-Id") or "", answer.read().decode()
    connection.close()
    return found


def test_metrics_of_all_workers_and_the_access_log(port, tmp_path):
    """The database is away, which leaves out what is read of it."""
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "1",
        "VAR_DIR": str(tmp_path),
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "METRICS_TOKEN": "a-token-of-the-metrics",
        "ACCESS_LOG": "1",
        "LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "config.server.granian", "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--workers", "2"], cwd=PROJECT, env=environ, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + PATIENCE
        page = ""
        while 'segments_web_slots{lane="reads"} 6.0' not in page:  # both workers have said so
            assert time.monotonic() < deadline
            time.sleep(0.1)
            if status_of_health(port) == 200:
                _, _, page = get(port, "/metrics", Authorization="Bearer a-token-of-the-metrics")
        for number in range(20):
            assert get(port, "/nothing", X_Request_Id=f"n-{number}")[:2] == (404, f"n-{number}")
        _, identifier, page = get(port, "/metrics", Authorization="Bearer a-token-of-the-metrics")
    finally:
        server.terminate()
        server.wait()
    assert identifier
    count = 'segments_http_request_seconds_count{method="GET",route="(none)",status="404"} 20.0'
    assert count in page.splitlines()
    assert 'segments_readings_failed{source="database"} 1.0' in page.splitlines()
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"logger":"access"' in line]
    assert {f"n-{number}" for number in range(20)} <= {line["request_id"] for line in lines}
    assert not list((tmp_path / "metrics").iterdir())
