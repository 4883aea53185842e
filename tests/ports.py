"""Ports for servers of tests that only they can get."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


class ReservedPort:
    """A port of 127.0.0.1 that is kept for one server, before it starts and between two of its starts.

    The socket that keeps it never listens. Linux gives the number to nobody who asks for any port, and to no
    connection; a server that names it can have it, since servers allow that an address is used again.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as granian's workers do
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def give_back(self) -> None:
        self._socket.close()


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port for a server that starts and ends within the block."""
    port = ReservedPort()
    try:
        yield port.number
    finally:
        port.give_back()
