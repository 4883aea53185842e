"""A web server that is killed while clients redeem: after its restart nothing is lost or counted twice."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection
from django.db.models import Count

from accounts.identity import scopes
from coupons.models import Coupon, Redemption
from tests.factories.coupons import CouponFactory

pytestmark = pytest.mark.django_db(transaction=True)

PROJECT = Path(__file__).resolve().parents[2]
ORDERS = 120
KILLS = 3
BODY = json.dumps(
    {"orderTotal": {"amount": 100, "currency": "EUR"}, "discount": {"amount": 10, "currency": "EUR"}}
)


class Server:
    """The project's own web server with one worker, on the test's database."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        parameters = connection.get_connection_params()
        self.environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "1",
            "SERVICE_ROLE": "web",
            "DATABASE_URL": f"postgres://{parameters.get('user', '')}:{parameters.get('password') or ''}@"
            f"/{connection.settings_dict['NAME']}?host={quote(parameters['host'], safe='')}"
            f"&port={parameters.get('port') or 5432}",
        }

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "config.server.granian", "--host", "127.0.0.1", "--port", str(self.port)]
            + ["--workers", "1"],
            cwd=PROJECT,
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while self.send("GET", "/healthz")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the server and its workers at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def send(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
        """Send a request; the status is 0 when the server did not answer."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            client.request(
                method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            answer = client.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            client.close()


@pytest.fixture
def server(real_time: None) -> Iterator[Server]:
    server = Server()
    server.start()
    yield server
    server.kill()


def test_orders_that_are_sent_again_after_kills_count_once(server, tenant, service_api):
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    token = service_api(scopes.COUPON_REDEEM).headers["Authorization"]

    def redeem(number: int) -> str:
        """Send one order until it is answered, as a shop does."""
        deadline = time.monotonic() + 120
        while True:
            status, content = server.send(
                "POST",
                "/coupon/acme/coupons/A/redemptions",
                BODY,
                Authorization=token,
                Idempotency_Key=f"order-{number}",
            )
            if status == 201:
                return json.loads(content)["id"]
            assert status == 0, content
            assert time.monotonic() < deadline
            time.sleep(0.02)

    chance = random.Random(5)
    with ThreadPoolExecutor(6) as clients:
        redemptions = [clients.submit(redeem, number) for number in range(ORDERS)]
        for kill in range(1, KILLS + 1):
            while Redemption.objects.count() < kill * ORDERS // (KILLS + 2):
                time.sleep(0.005)
            time.sleep(chance.random() / 50)
            server.kill()
            [(counter, rows)] = Coupon.objects.annotate(rows=Count("redemptions")).values_list(
                "redemption_count", "rows"
            )
            assert counter == rows < ORDERS
            server.start()
        ids = [redemption.result() for redemption in redemptions]
    assert len(set(ids)) == ORDERS
    assert set(Redemption.objects.values_list("external_id", flat=True)) == set(ids)
    assert Coupon.objects.get().redemption_count == ORDERS
