"""Clients that send slowly, not at all, or what is refused: the others never notice them."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.faults.servers import (
    PatientServer,
    half_post,
    megabytes_of,
    raise_open_files,
    read_response,
)
from tests.waiting import PATIENCE, wait_until

REFUSED = [
    ("POST", "/customer-segment/acme/segments", 401),  # no token
    ("PUT", "/customer-segment/acme/segments", 405),
    ("POST", "/nothing/here", 404),
    ("PUT", "/oauth/token", 405),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[PatientServer]:
    """A server for all tests that need no settings of their own."""
    server = PatientServer(log=tmp_path_factory.mktemp("server") / "log")
    server.start()
    yield server
    server.close()


def test_health_and_reads_are_answered_beside_half_sent_bodies(server):
    assert not (problem := raise_open_files(1_024)), problem
    clients = [server.connect() for _ in range(200)]
    for client in clients:
        client.sendall(half_post())

    for _ in range(5):
        assert server.status_of("/healthz") == 200
        assert server.status_of("/nothing") == 404
        assert server.send("POST", "/nothing", b"{}")[0] == 404

    for client in clients:
        client.sendall(b"x" * 999)
    for client in clients:
        assert read_response(client)[0] == 404
        client.close()


def test_a_body_that_does_not_arrive_is_refused_and_its_connection_closed(serve):
    server = serve(WEB_BODY_SECONDS="1")
    with server.connect() as client:
        client.sendall(half_post())
        status, headers, body = read_response(client)

        assert (status, headers["connection"]) == (408, "close")
        assert json.loads(body) == {
            "code": 408,
            "status": "Request Timeout",
            "message": "The request's body did not arrive in time.",
        }
        assert client.recv(1) == b""


def test_a_body_that_comes_byte_by_byte_has_the_same_deadline(serve):
    server = serve(WEB_BODY_SECONDS="1")
    with server.connect() as client:
        client.sendall(half_post())
        client.settimeout(0.1)
        received = b""
        deadline = time.monotonic() + PATIENCE
        while not received and time.monotonic() < deadline:
            with suppress(ConnectionError):  # the server closed while a byte was on its way
                client.sendall(b"x")
            with suppress(TimeoutError):
                received = client.recv(1_000)
        assert received.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_goes_away_leaves_nothing_behind(server):
    for _ in range(50):
        client = server.connect()
        client.sendall(half_post())
        client.close()
    assert server.status_of("/nothing") == 404
    assert "Traceback" not in server.log.read_text()
    assert "failure" not in server.log.read_text()


def test_idle_connections_cost_no_slot(server):
    assert not (problem := raise_open_files(1_024)), problem
    idle = [server.connect() for _ in range(500)]
    for client in idle[:250]:  # used once and kept alive; the others never sent anything
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_response(client)[0] == 200

    assert server.status_of("/nothing") == 404
    assert server.status_of("/healthz") == 200
    for client in idle:
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_response(client)[0] == 404
        client.close()


@pytest.mark.parametrize("size", [200, 200_000])
def test_refused_requests_always_have_a_response_and_keep_their_connection(server, size):
    def refuse(number: int) -> list[tuple[int, int]]:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        found = []
        for turn in range(16):
            method, path, expected = REFUSED[(number + turn) % len(REFUSED)]
            client.request(method, path, b"x" * size, {"Content-Type": "application/json"})
            response = client.getresponse()
            response.read()
            found.append((response.status, expected))
            if turn == 0:
                connection = client.sock
            assert client.sock is connection
        client.close()
        return found

    with ThreadPoolExecutor(24) as clients:
        for found in clients.map(refuse, range(24)):
            assert [status for status, _ in found] == [expected for _, expected in found]


def test_a_longer_body_than_is_ever_kept_is_refused_with_a_response(serve):
    server = serve(WEB_BODY_MB="3")
    form, json_ = "multipart/form-data; boundary=x", "application/json"
    for content_type, size in ((form, 4_000_000), (form, 11_000_000), (json_, 11_000_000)):
        for _ in range(5):
            answer = server.send("POST", "/admin/login/", b"x" * size, Content_Type=content_type)
            assert answer[0] == 413


def test_all_bodies_of_a_worker_together_are_bounded(serve):
    server = serve(WEB_BODIES_MB="4", WEB_BODY_SECONDS="120")
    clients: list[socket.socket] = []

    def is_full() -> bool:
        """Fill the memory for bodies; the bodies and the request compete for it."""
        while clients:
            clients.pop().close()
        clients.extend(server.connect() for _ in range(2))
        for client in clients:
            client.sendall(half_post(length=2_000_001) + b"x" * 1_999_999)
        time.sleep(0.5)
        return server.send("POST", "/nothing", b"x" * 2_000_000)[0] == 503

    wait_until(is_full)
    slow = server.connect()
    slow.sendall(half_post(length=2_000_001) + b"x" * 1_500_000)
    assert server.status_of("/nothing") == 404
    time.sleep(0.2)
    slow.sendall(b"x" * 500_000)  # it sends on although there is no memory left for it, and is told so
    assert read_response(slow)[0] == 503
    slow.close()
    for client in clients:
        client.sendall(b"x")
        assert read_response(client)[0] == 404
        client.close()
    assert server.send("POST", "/nothing", b"x" * 2_000_000)[0] == 404


def test_a_client_that_never_reads_a_large_response_holds_no_slot(serve):
    server = serve(WEB_THREADS="1", WEB_SEND_SECONDS="1", WEB_RESPONSES_MB="1")
    path = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    clients = [server.connect() for _ in range(12)]
    for client in clients:
        client.sendall(request * 40)

    wait_until(lambda: server.status_of("/nothing") == 404)
    # once those that do not read are given up, there is room for one that does
    wait_until(lambda: len(server.send("GET", path)[1]) > 1_000_000)
    for client in clients:
        client.close()


def test_a_worker_gives_memory_back_after_large_bodies(serve):
    server = serve()
    [worker] = server.pids()
    assert server.status_of("/nothing") == 404
    fresh = megabytes_of(worker)

    with ThreadPoolExecutor(8) as clients:
        bodies = [b"x" * size for size in range(2_000_000, 2_600_000, 15_000)]
        headers = {"Content_Type": "application/json"}
        answers = clients.map(lambda body: server.send("POST", "/oauth/token", body, **headers), bodies)
        assert {status for status, _ in answers} <= {400, 415}

    wait_until(lambda: megabytes_of(worker) < fresh + 30)
