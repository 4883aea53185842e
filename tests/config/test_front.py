"""The front without granian: what it hands to Django, and what it sends itself."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse

from config.server import front as front_module
from config.server.bodies import BodyCollector
from config.server.budget import ByteBudget
from config.server.front import Front
from config.server.limits import MEGABYTE, Limits, _connections_within
from config.server.responses import Response
from config.server.transfers import LARGE, Transfers
from config.server.wsgi_environ import environ_of
from core.json_types import JsonObject


class Future:
    """What granian returns where something is still to come."""

    def __init__(self, message: JsonObject | None = None) -> None:
        self.message = message
        self.callback: Any = None
        self.is_cancelled = False

    def add_done_callback(self, callback: Any) -> None:
        self.callback = callback

    def finish(self, message: JsonObject | None = None) -> None:
        self.message = message
        self.callback(self)

    def cancel(self) -> None:
        self.is_cancelled = True
        self.callback(self)

    def cancelled(self) -> bool:
        return self.is_cancelled

    def result(self) -> JsonObject | None:
        return self.message


class Protocol:
    """A connection: `places` parts of a response fit into its buffer."""

    def __init__(self, places: int = 100) -> None:
        self.places = places
        self.sent: list[JsonObject] = []
        self.receiving: Future | None = None
        self.sending: Future | None = None

    def receive(self) -> Future:
        self.receiving = Future()
        return self.receiving

    def send(self, message: JsonObject) -> object:
        self.sent.append(message)
        if message["type"] == "http.response.body" and message["more_body"]:
            self.places -= 1
            if self.places < 0:
                self.sending = Future()
                return self.sending
        return object()

    def arrive(self, part: bytes, *, more: bool = True) -> None:
        self.receiving.finish({"type": "http.request", "body": part, "more_body": more})

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and self.sent[-1].get("more_body") is False


def scope(method: str = "GET", path: bytes = b"/nothing", *headers: tuple[bytes, bytes]) -> JsonObject:
    return {
        "type": "http",
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("10.0.0.1", 4444),
        "scheme": "http",
        "method": method,
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"a=%20b",
        "headers": list(headers),
    }


# --- environ


def test_the_environ_is_what_wsgi_asks_for():
    environ = environ_of(
        scope("POST", b"/a%2Fb/%C3%A4", (b"host", b"shop.example"), (b"content-type", b"text/plain"))
    )
    environ.pop("wsgi.errors")
    assert environ == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SCRIPT_NAME": "",
        "SERVER_SOFTWARE": "Granian",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "10.0.0.1",
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a/b/\xc3\xa4",
        "QUERY_STRING": "a=%20b",
        "HTTP_HOST": "shop.example",
        "CONTENT_TYPE": "text/plain",
        "wsgi.input_terminated": True,
        "wsgi.multiprocess": True,
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
    }


def test_headers_that_come_twice_are_joined():
    environ = environ_of(
        scope("GET", b"/", (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x-thing", b"1"), (b"x-thing", b"2"))
    )
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_THING"] == "1,2"


def test_a_header_with_an_underscore_is_left_out():
    environ = environ_of(scope("GET", b"/", (b"x_forwarded_for", b"1.2.3.4"), (b"x_forwarded_for", b"5")))
    assert not [key for key in environ if "FORWARDED" in key.upper() or key == "ignored"]


# --- bodies


@pytest.fixture
def complete() -> list[tuple[object, ...]]:
    return []


def collector(complete: list[tuple[object, ...]], **bounds: object) -> BodyCollector:
    parameters = {"kept": 10, "longest": 40, "budget": ByteBudget(100), "seconds": 60} | bounds
    return BodyCollector(lambda *arguments: complete.append(arguments), **parameters)


def test_a_body_is_handed_on_as_soon_as_its_length_is_reached(complete):
    bodies, protocol = collector(complete), Protocol()
    bodies.collect({"CONTENT_LENGTH": "5"}, protocol)
    protocol.arrive(b"ab")
    assert complete == []
    protocol.arrive(b"cde")

    assert complete == [({"CONTENT_LENGTH": "5"}, protocol, b"abcde", 5)]
    assert bodies.receiving == set()


def test_a_body_in_chunks_is_measured(complete):
    bodies, protocol = collector(complete), Protocol()
    bodies.collect({}, protocol)
    protocol.arrive(b"ab")
    protocol.arrive(b"", more=False)
    assert complete == [({"CONTENT_LENGTH": "2"}, protocol, b"ab", 2)]


def test_of_a_body_that_is_too_long_enough_is_kept_for_django_to_refuse_it(complete):
    bodies, protocol = collector(complete), Protocol()
    bodies.collect({"CONTENT_LENGTH": "36"}, protocol)
    for _ in range(3):
        protocol.arrive(b"x" * 12)
    assert complete == [({"CONTENT_LENGTH": "12"}, protocol, b"x" * 12, 12)]


def test_a_form_with_files_may_be_longer(complete):
    bodies, protocol = collector(complete), Protocol()
    bodies.collect({"CONTENT_LENGTH": "36", "CONTENT_TYPE": "multipart/form-data; boundary=x"}, protocol)
    for _ in range(3):
        protocol.arrive(b"x" * 12)
    assert complete[0][2] == b"x" * 36


def test_a_body_that_is_longer_than_any_is_413_once_its_client_has_sent_it(complete):
    bodies, protocol = collector(complete), Protocol()
    bodies.collect({"CONTENT_LENGTH": "48"}, protocol)
    for _ in range(3):
        protocol.arrive(b"x" * 12)
    assert protocol.sent == []  # a client that still sends may never see the response
    protocol.arrive(b"x" * 12)
    assert (complete, protocol.status, bodies.budget.used) == ([], 413, 0)


def test_a_body_without_end_is_413_as_soon_as_four_times_the_longest_was_read(complete):
    bodies, protocol = collector(complete), Protocol()
    bodies.collect({}, protocol)
    for _ in range(13):
        assert protocol.sent == []
        protocol.arrive(b"x" * 12)
    protocol.arrive(b"x" * 12)
    assert (complete, protocol.status, bodies.budget.used) == ([], 413, 0)


def test_bodies_together_are_bounded(complete):
    bodies, first, second = collector(complete, budget=ByteBudget(15)), Protocol(), Protocol()
    bodies.collect({"CONTENT_LENGTH": "10"}, first)
    bodies.collect({"CONTENT_LENGTH": "10"}, second)
    first.arrive(b"x" * 9)
    second.arrive(b"x" * 9)
    assert (second.sent, bodies.budget.used) == ([], 9)  # a client that still sends sees no response
    second.arrive(b"x")
    assert (second.status, bodies.budget.used) == (503, 9)
    first.arrive(b"x")
    assert complete[0][2] == b"x" * 10


def test_a_late_body_is_408_and_one_of_a_stopping_worker_503(complete):
    bodies, late, stopped = collector(complete, seconds=-1), Protocol(), Protocol()
    bodies.collect({"CONTENT_LENGTH": "5"}, late)
    bodies.end_overdue()
    assert (late.status, bodies.receiving) == (408, set())

    bodies.seconds, bodies.is_stopping = 60, True
    bodies.collect({"CONTENT_LENGTH": "5"}, stopped)
    bodies.end_overdue()
    assert stopped.status == 503
    assert (b"connection", b"close") in stopped.sent[0]["headers"]


def test_a_client_that_has_gone_gets_its_bytes_back(complete):
    bodies, protocol = collector(complete), Protocol()
    bodies.collect({"CONTENT_LENGTH": "5"}, protocol)
    protocol.arrive(b"abc")
    protocol.receiving.finish({"type": "http.disconnect"})
    assert (complete, bodies.budget.used, bodies.receiving) == ([], 0, set())


# --- responses


def transfers(limit: int = 10 * LARGE, seconds: float = 60) -> Transfers:
    return Transfers(budget=ByteBudget(limit), seconds=seconds)


def test_a_small_response_is_sent_whole():
    protocol = Protocol()
    transfers().send(protocol, Response(200, [], b"abc"))
    assert [message["type"] for message in protocol.sent] == ["http.response.start", "http.response.body"]
    assert protocol.body == b"abc"


def test_a_large_response_waits_for_its_client_without_a_thread():
    protocol, sending = Protocol(places=1), transfers()
    body = bytes(range(256)) * (LARGE // 64)
    sending.send(protocol, Response(200, [], body))
    assert not protocol.is_complete
    assert sending.budget.used == len(body)

    while not protocol.is_complete:
        protocol.sending.finish()
    assert protocol.body == body
    assert (sending.budget.used, sending.sending) == (0, set())


def test_large_responses_together_are_bounded():
    waiting, refused, sending = Protocol(places=0), Protocol(), transfers(limit=3 * LARGE)
    sending.send(waiting, Response(200, [], b"x" * 2 * LARGE))
    sending.send(refused, Response(200, [], b"x" * 2 * LARGE))
    assert refused.status == 503


def test_a_response_that_is_not_fetched_is_given_up():
    protocol, sending = Protocol(places=0), transfers(seconds=-1)
    sending.send(protocol, Response(200, [], b"x" * 2 * LARGE))
    sending.end_overdue()
    assert (sending.budget.used, sending.sending, protocol.is_complete) == (0, set(), False)
    assert protocol.sending.is_cancelled


def test_a_stream_is_sent_while_it_is_made():
    protocol = Protocol()
    pieces = [b"x" * LARGE, b"y" * 10, b"z" * LARGE, b"end"]
    transfers().send_stream(protocol, 200, [], pieces)
    assert protocol.body == b"".join(pieces)
    assert [len(message["body"]) for message in protocol.sent[1:]] == [LARGE, LARGE + 10, 3, 0]


def test_a_short_stream_is_sent_whole():
    protocol = Protocol()
    transfers().send_stream(protocol, 200, [], iter([b"a", b"b"]))
    assert [message.get("body") for message in protocol.sent] == [None, b"ab"]


def test_a_stream_that_is_not_fetched_ends_its_thread():
    protocol = Protocol(places=0)
    transfers(seconds=0).send_stream(protocol, 200, [], [b"x" * LARGE, b"y" * LARGE])
    assert not protocol.is_complete
    assert len(protocol.sent) == 2


# --- the front


class Watcher:
    def __init__(self, scope: JsonObject, protocol: Protocol) -> None:
        self.scope, self.proto = scope, protocol


def ask(front: Front, *words: object) -> Protocol:
    protocol = Protocol()
    front(Watcher(scope(*words), protocol))
    return protocol


def echo(environ: JsonObject) -> HttpResponse:
    headers = {"X-Method": environ["REQUEST_METHOD"]}
    return HttpResponse([environ["wsgi.input"].read(), b"!"], content_type="text/x", headers=headers)


@pytest.mark.django_db  # the end of a response looks at the connection
def test_django_answers_and_the_body_is_there():
    protocol = Protocol()
    front = Front(echo, Limits(), longest_body=100)
    front(Watcher(scope("POST", b"/thing", (b"content-length", b"3")), protocol))
    assert protocol.sent == []
    protocol.arrive(b"abc")
    assert (protocol.status, protocol.body) == (200, b"abc!")
    assert protocol.sent[0]["headers"] == [(b"X-Method", b"POST"), (b"Content-Type", b"text/x")]
    assert front.body_budget.used == 0
    assert front.is_idle


@pytest.mark.parametrize("path", [b"/healthz", b"/healthz/"])
def test_health_is_answered_without_django(path):
    def never(environ: JsonObject) -> HttpResponse:
        raise AssertionError

    protocol = ask(Front(never, Limits(), longest_body=100), "GET", path)
    assert (protocol.status, protocol.body) == (200, b'{"status": "up"}')


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit("broken")])
def test_a_failure_outside_of_django_is_a_500_and_costs_no_thread(caplog, error):
    def fail(environ: JsonObject) -> HttpResponse:
        raise error

    front = Front(fail, Limits(), longest_body=100)
    assert ask(front).status == 500
    assert "broken" in caplog.text
    assert front.is_idle


@pytest.mark.django_db
def test_what_finds_no_place_is_told_to_come_again():
    def again(environ: JsonObject) -> HttpResponse:
        if environ["PATH_INFO"] == "/first":  # beside it come two more; one has room to wait
            others.extend([ask(front, "GET", b"/second"), ask(front, "GET", b"/third")])
        return echo(environ)

    others: list[Protocol] = []
    front = Front(again, Limits(threads=1, waiting=1), longest_body=100)
    first = ask(front, "GET", b"/first")

    second, third = others
    assert (first.status, second.status, third.status) == (200, 200, 503)
    assert (b"retry-after", b"1") in third.sent[0]["headers"]


def test_readiness_has_a_deadline_and_is_answered_once(monkeypatch):
    monkeypatch.setitem(front_module.PROBES, "/readyz", -1)
    protocol = Protocol()

    def slow(environ: JsonObject) -> HttpResponse:
        front.look_after()  # as another thread does while this one waits for the database
        return echo(environ)

    front = Front(slow, Limits(), longest_body=100)
    front(Watcher(scope("GET", b"/readyz"), protocol))
    assert protocol.status == 503
    assert protocol.body == b'{"status": "down", "database": "no answer within 2 seconds"}'
    assert len(protocol.sent) == 2


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("GET", b"/coupon/acme/coupons", "reads"),
        ("HEAD", b"/coupon/acme/coupons", "reads"),
        ("POST", b"/coupon/acme/coupons/A/validation", "reads"),
        ("POST", b"/customer-segment/acme/segments/search", "reads"),
        ("POST", b"/coupon/acme/coupons/A/redemptions", "writes"),
        ("DELETE", b"/coupon/acme/coupons/search", "writes"),
        ("GET", b"/readyz", "probes"),
    ],
)
def test_reads_writes_and_probes_have_lanes_of_their_own(method, path, lane):
    used = []

    def note(environ: JsonObject) -> HttpResponse:
        used.extend(name for name in ("reads", "writes", "probes") if getattr(front, name).at_work)
        return echo(environ)

    front = Front(note, Limits(), longest_body=100)
    ask(front, method, path)
    assert used == [lane]


# --- limits


def test_limits_come_from_the_environment():
    limits = Limits.from_environment({"WEB_THREADS": "5", "WEB_BODY_MB": "2", "WEB_BODY_SECONDS": "7"})
    assert (limits.threads, limits.body_bytes, limits.body_seconds) == (5, 2 * MEGABYTE, 7)
    assert (limits.most_threads, limits.granian_threads) == (10, 6)
    assert Limits.from_environment({}) == Limits()
    with pytest.raises(ImproperlyConfigured, match="^WEB_QUEUE is 'x'; set it to a whole number from 1"):
        Limits.from_environment({"WEB_QUEUE": "x"})


@pytest.mark.parametrize(("files", "connections"), [(1_024, 768), (100_000, 10_000), (256, 64)])
def test_the_limit_of_open_files_bounds_the_connections(files, connections):
    assert _connections_within(files) == connections
