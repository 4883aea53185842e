"""How much a web worker takes on at a time; docs/configuration.md lists the environment variables."""

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from config.environment import Environment

THREADS = 3
OTHER_FILES = 256  # descriptors that are not clients: connections to the database, files, pipes
MOST_CONNECTIONS = 10_000
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    threads: int = THREADS  # of the reads, and as many of the writes
    waiting: int = 512  # requests that wait for a thread of their lane
    waiting_seconds: int = 10  # after which such a request is refused
    body_seconds: int = 20  # from the end of the headers to the end of the body
    body_bytes: int = 32 * MEGABYTE  # of one request
    bodies_bytes: int = 128 * MEGABYTE  # of all requests of a worker
    send_seconds: int = 60  # that a client may take to fetch the next part of a large response
    responses_bytes: int = 256 * MEGABYTE  # of all large responses of a worker that are not sent yet

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Self:
        """Return the limits; raise ImproperlyConfigured naming the variable that is wrong."""
        env, default = Environment(variables), cls()

        def megabytes(name: str, bytes_: int) -> int:
            return MEGABYTE * env.number(name, default=bytes_ // MEGABYTE, least=1)

        return cls(
            threads=env.number("WEB_THREADS", default=default.threads, least=1),
            waiting=env.number("WEB_QUEUE", default=default.waiting, least=1),
            waiting_seconds=env.number("WEB_QUEUE_SECONDS", default=default.waiting_seconds, least=1),
            body_seconds=env.number("WEB_BODY_SECONDS", default=default.body_seconds, least=1),
            body_bytes=megabytes("WEB_BODY_MB", default.body_bytes),
            bodies_bytes=megabytes("WEB_BODIES_MB", default.bodies_bytes),
            send_seconds=env.number("WEB_SEND_SECONDS", default=default.send_seconds, least=1),
            responses_bytes=megabytes("WEB_RESPONSES_MB", default.responses_bytes),
        )

    @property
    def most_threads(self) -> int:
        """How many threads a lane may have while some of them wait for locks or slow statements."""
        return max(8, 2 * self.threads)

    @property
    def granian_threads(self) -> int:
        """How many Python threads granian has: those that work, and one that takes requests."""
        return self.threads + 1


def connections_needed(variables: Mapping[str, str]) -> int:
    """Return how many connections to PostgreSQL this server usually keeps, with its background workers."""
    env = Environment(variables)
    workers = env.number("WEB_WORKERS", default=os.cpu_count() or 1, least=1)
    return workers * (Limits.from_environment(variables).threads + 1) + env.number(
        "WORKERS_BACKGROUND", default=1
    )


def connections_per_worker() -> int:
    """Raise the limit of open files as far as allowed, and return how many clients a worker may accept.

    Above the limit accept fails and nobody is answered any more, /healthz included; the usual soft limit
    is 1,024.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else _connections_within(hard)


def _connections_within(files: int) -> int:
    return max(64, min(MOST_CONNECTIONS, files - OTHER_FILES))
