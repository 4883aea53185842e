"""Loads the server: with wrk where it is installed, else with threads of our own."""

import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.machine import pin_to_other_cores

CONNECTIONS = 8
LONGEST_WAIT = 60  # seconds; wrk itself gives an answer of ten megabytes two
HOST = "127.0.0.1"
SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as a client would send it."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def on_wire(self) -> bytes:
        """Return the bytes that go over the connection, which stays open."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {HOST}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of load came to. Times are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failures: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def generator_name() -> str:
    """Return what makes the load; figures of different generators are not to be compared."""
    if shutil.which("wrk"):
        reported = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
        return " ".join(reported.split()[:2])
    return "threads in Python (wrk is not installed: fast reads look slower than they are)"


def put_under_load(
    requests: Sequence[Request], *, port: int, seconds: float, connections: int = CONNECTIONS
) -> Load:
    """Send the requests in turn over so many connections, from the core that the web worker does not use."""
    with tempfile.NamedTemporaryFile(prefix="requests-") as file:
        for request in requests:
            content = request.on_wire()
            file.write(b"%010d" % len(content) + content)
        file.flush()
        wrk = shutil.which("wrk")
        if wrk:
            command = [wrk, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", f"--timeout={LONGEST_WAIT}s"]
            command += ["-s", str(SCRIPT), f"http://{HOST}:{port}", "--", file.name]
        else:
            command = [
                sys.executable,
                "-m",
                "bench.load",
                file.name,
                str(port),
                str(seconds),
                str(connections),
            ]
        reported = subprocess.run(
            command, capture_output=True, text=True, check=True, preexec_fn=pin_to_other_cores
        )
    return Load(**json.loads(reported.stdout.strip().splitlines()[-1]))


def main() -> None:
    """Do in Python what wrk does: prints the same line of JSON."""
    file, port, seconds, connections = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    requests = read_requests(Path(file))
    turns, latencies, failures = count(), list[float](), list[int]()
    end = time.perf_counter() + seconds

    def send() -> None:
        with socket.create_connection((HOST, port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = connection.makefile("rb")
            while (started := time.perf_counter()) < end:
                connection.sendall(requests[next(turns) % len(requests)])
                status = read_answer(stream)
                latencies.append(time.perf_counter() - started)
                if status >= 400:
                    failures.append(status)

    started = time.perf_counter()
    threads = [threading.Thread(target=send) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = statistics.quantiles(latencies, n=100)
    answer = {
        "requests": len(latencies),
        "seconds": time.perf_counter() - started,
        "p50": places[49] * 1_000,
        "p99": places[98] * 1_000,
        "failures": len(failures),
    }
    print(json.dumps(answer))


def read_requests(path: Path) -> list[bytes]:
    content, requests, position = path.read_bytes(), [], 0
    while position < len(content):
        length = int(content[position : position + 10])
        requests.append(content[position + 10 : position + 10 + length])
        position += 10 + length
    return requests


def read_answer(stream: socket.SocketIO) -> int:  # type: ignore[name-defined]
    """Read one answer with a Content-Length to its end; return its status."""
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    stream.read(length)
    return status


if __name__ == "__main__":
    main()
