"""Workers that are killed, stopped, or asked to end."""

import json
import os
import signal
import threading
import time
from pathlib import Path

from tests.faults.servers import half_post, pause, read_response
from tests.waiting import PATIENCE, wait_until


class Probes:
    """Asks for /healthz over new connections until the end of the block."""

    def __init__(self, server) -> None:
        self.server = server
        self.statuses: list[int] = []
        self.is_over = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def __exit__(self, *failure) -> None:
        self.is_over.set()
        self.thread.join()

    def _run(self) -> None:
        while not self.is_over.is_set():
            self.statuses.append(self.server.status_of("/healthz"))
            time.sleep(0.02)


def is_whole(server) -> bool:
    """Whether all workers are there; /healthz says that one answers."""
    return server.listeners() == server.workers == len(server.pids()) and server.status_of("/healthz") == 200


def test_four_kills_within_ten_seconds_leave_the_healthy_worker_and_end_nothing(serve):
    server = serve(workers=2)
    healthy = server.pids()[0]
    with Probes(server) as probes:
        killed: set[int] = set()
        for _ in range(4):
            wait_until(lambda: [pid for pid in server.pids() if pid != healthy and pid not in killed])
            [victim] = [pid for pid in server.pids() if pid != healthy and pid not in killed]
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        wait_until(lambda: is_whole(server))

    assert server.process.poll() is None
    assert healthy in server.pids()
    # a connection that a killed worker had accepted ends with it
    assert probes.statuses.count(200) >= len(probes.statuses) - 4


def test_a_stopped_worker_is_replaced(serve):
    server = serve(workers=2)
    victim, other = server.pids()
    time.sleep(2)  # until the server has seen it work: a worker that is loading may take longer
    pause(victim)

    wait_until(lambda: victim not in server.pids() and is_whole(server))
    assert other in server.pids()
    assert "does not answer; it is replaced" in server.log.read_text()


def test_a_server_none_of_whose_workers_can_start_ends_with_an_error(serve):
    server = serve()
    server.kill()
    server.environ["DATABASE_URL"] = "not an address"
    server.log.write_text("")

    server.start_process()

    assert server.process.wait(PATIENCE) == 1
    assert "No worker could start." in server.log.read_text()


def test_a_reload_replaces_the_workers_one_by_one_and_loses_nothing(serve):
    server = serve(workers=2)
    former = server.pids()
    with Probes(server) as probes:
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: is_whole(server) and not set(server.pids()) & set(former))
    assert set(probes.statuses) == {200}


def test_connections_that_a_stopped_worker_has_not_accepted_are_answered_by_its_successor(serve):
    server = serve()
    [former] = server.pids()
    pause(former)
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")

    server.process.send_signal(signal.SIGHUP)

    assert [read_response(client)[0] for client in clients] == [404] * 20
    for client in clients:
        client.close()


def test_connections_that_wait_for_a_killed_worker_are_answered(serve):
    server = serve()
    [former] = server.pids()
    pause(former)
    client = server.connect()
    client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
    os.kill(former, signal.SIGKILL)
    assert read_response(client)[0] == 404
    client.close()


def test_a_reload_leaves_its_time_to_a_body_that_is_still_arriving(serve):
    server = serve()
    [former] = server.pids()
    with server.connect() as client:
        client.sendall(half_post())
        wait_until(lambda: is_accepted(client))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not server.accepts(former))
        assert server.status_of("/healthz") == 200
        client.sendall(b"x" * 999)
        status, headers, _ = read_response(client)
    assert (status, headers["connection"]) == (404, "close")
    wait_until(lambda: is_whole(server) and former not in server.pids())


def is_accepted(client) -> bool:
    """Whether a worker has the connection: one that waits to be accepted belongs to nobody."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{client.getpeername()[1]:04X}", f":{client.getsockname()[1]:04X}"
    return any(row[1].endswith(ends[0]) and row[2].endswith(ends[1]) and row[9] != "0" for row in rows)


def test_sigterm_ends_the_server_beside_clients_that_are_silent(serve):
    server = serve()
    bodies, headers, silent = ([server.connect() for _ in range(20)] for _ in range(3))
    for client in bodies:
        client.sendall(half_post())
    for client in headers:
        client.sendall(b"POST /nothing HTTP/1.1\r\nHo")
    assert server.status_of("/healthz") == 200

    server.process.send_signal(signal.SIGTERM)

    for client in bodies:
        status, found, body = read_response(client)
        assert (status, found["connection"]) == (503, "close")
        assert json.loads(body)["message"] == "The service is restarting; try again."
    assert server.process.wait(PATIENCE) == 0
    assert "refused to gracefully stop" not in server.log.read_text()
    for client in (*bodies, *headers, *silent):
        client.close()


def test_a_reload_with_code_that_cannot_start_leaves_the_former_workers(serve, tmp_path):
    """New processes of Python end at once while the file is there."""
    broken = tmp_path / "broken"
    server = serve(workers=2, PYTHONPATH=str(tmp_path))
    before = server.pids()
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nif os.path.exists({str(broken)!r}): os._exit(3)\n"
    )
    broken.touch()
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "cannot start anew" in server.log.read_text())
    assert server.pids() == before
    assert server.status_of("/healthz") == 200
    broken.unlink()
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.pids()) == 2 and not set(server.pids()) & set(before))
    assert server.status_of("/healthz") == 200
