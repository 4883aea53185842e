"""The one socket at which all workers accept connections, and how a worker leaves it to the others.

What the kernel has not yet given to a worker waits at the socket, which the server process holds open: so it
outlives the worker that would have accepted it. With a socket for each worker, as granian has them, the
connections that wait at one are reset with it, and a worker that hangs keeps its share of new ones.
"""

import os
import re
import select
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from granian.net import SocketSpec

DESCRIPTORS = Path("/proc/self/fd")
WATCHED = re.compile(r"^tfd:\s+(\d+)", re.MULTILINE)


def listen(host: str, port: int, backlog: int) -> tuple[Any, socket.socket]:
    """Return the socket as granian passes it to its workers, and as Python does."""
    holder = SocketSpec(host, port, backlog).build()
    shared = socket.socket(fileno=holder.get_fd())
    shared.set_inheritable(True)
    return holder, shared


def accept_no_more() -> None:
    """Let this process accept no further connection; the others go on.

    The socket stays open, but the process no longer hears of its connections. Only Linux shows what is to be
    done for that: elsewhere the worker accepts until it ends.
    """
    if not DESCRIPTORS.is_dir():
        return
    for entry in DESCRIPTORS.iterdir():
        with suppress(OSError):  # a descriptor that was closed since it was listed
            if os.readlink(entry) == "anon_inode:[eventpoll]":
                _leave_sockets(int(entry.name))


def _leave_sockets(watching: int) -> None:
    described = Path(f"/proc/self/fdinfo/{watching}").read_text()
    with select.epoll.fromfd(os.dup(watching)) as events:  # which it closes
        for descriptor in map(int, WATCHED.findall(described)):
            if _listens(descriptor):
                events.unregister(descriptor)


def _listens(descriptor: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as client:
            return bool(client.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # no socket
        return False
