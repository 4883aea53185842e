"""The receivers that docs/events.md shows, run as they are printed there."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from events.delivering import Pending, Route, send_event
from events.models import DeliveryState
from events.sending.requests import is_accessible
from tests.ports import reserved_port
from tests.waiting import wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "events.md"
COMMANDS = {"python": sys.executable, "js": "node"}
SECRET = "s3cret-of-the-page"
PAYLOAD = '{"name": {"en": "Gold", "de": "Größe"}, "id": "gold", "amount": 10.0}'


@dataclass
class Shown:
    """A receiver that runs, and what it prints."""

    url: str
    process: subprocess.Popen[str]

    def next_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def code_of(language: str) -> str:
    """Return the page's example in a language."""
    [code] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return code


@contextmanager
def running(language: str) -> Iterator[Shown]:
    """Run the example until the end of the block; raise AssertionError when it does not start."""
    with reserved_port() as port, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"receiver.{language}"
        file.write_text(code_of(language))
        process = subprocess.Popen(
            [COMMANDS[language], str(file), str(port)],
            env={**os.environ, "WEBHOOK_SECRET": SECRET},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        shown = Shown(f"http://127.0.0.1:{port}/", process)
        try:
            wait_until(lambda: is_accessible(shown.url))
            yield shown
        finally:
            process.kill()
            process.wait()


def check(language: str) -> None:
    """Send the example events that it must take and events that it must refuse."""
    with running(language) as receiver:
        for secrets, state in (
            ((SECRET,), DeliveryState.DELIVERED),
            ((SECRET, "former"), DeliveryState.DELIVERED),
            (("wrong",), DeliveryState.PENDING),
        ):
            pending = Pending(1, 1, 0, None, "event-1", "coupon.created", PAYLOAD, datetime.now(UTC))
            route = Route(receiver.url, secrets, {}, "", frozenset(), is_active=True)
            outcome = send_event(route, pending)
            assert outcome.state == state, outcome.answer
            if state == DeliveryState.DELIVERED:
                assert receiver.next_line() == "event-1 coupon.created"
