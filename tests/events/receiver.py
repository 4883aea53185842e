"""A server that records what it is sent, and answers as a test wants."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> object:
        return orjson.loads(self.body)["payload"]

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """What arrived, and how it is answered: by path, with a function of the request and the handler."""

    url: str
    received: list[Received] = field(default_factory=list)
    answers: dict[str, Callable[[Received, BaseHTTPRequestHandler], None]] = field(default_factory=dict)

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    def answer(self, path: str, status: int, **headers: str) -> None:
        """Answer requests of this path with a status from now on."""
        self.answers[path] = lambda request, handler: respond(handler, status, headers)

    def drip(self, path: str, seconds: float) -> None:
        """Answer byte by byte: the head at once, then one byte each tenth of a second."""

        def answer(request: Received, handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            for _ in range(int(seconds * 10)):
                handler.wfile.write(b".")
                handler.wfile.flush()
                time.sleep(0.1)

        self.answers[path] = answer

    def hold(self, path: str) -> threading.Event:
        """Answer requests of this path only after the event that is returned has been set."""
        released = threading.Event()

        def answer(request: Received, handler: BaseHTTPRequestHandler) -> None:
            released.wait(20)
            respond(handler, 200, {})

        self.answers[path] = answer
        return released


def respond(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"ok")


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = self.headers["Content-Length"]
            body = self.rfile.read(int(length or 0))
            if length is None or len(body) < int(length):
                self.close_connection = True  # the sender was killed while it sent: this is no request
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.path, headers, body)
            receiver.received.append(request)
            answer = receiver.answers.get(self.path)
            try:
                if answer:
                    answer(request, self)
                else:
                    respond(self, 200, {})
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the sender has gone

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
