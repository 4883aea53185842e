"""A web server that is killed while clients redeem: after its restart nothing is lost or counted twice."""

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db.models import Count

from accounts.identity import scopes
from coupons.models import Coupon, Redemption
from tests.factories.coupons import CouponFactory
from tests.faults.servers import PatientServer, database_url
from tests.waiting import PATIENCE, wait_for_killed_sessions, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ORDERS = 120
KILLS = 3
BODY = json.dumps(
    {"orderTotal": {"amount": 100, "currency": "EUR"}, "discount": {"amount": 10, "currency": "EUR"}}
)


@pytest.fixture
def server(real_time: None, tmp_path: Path) -> Iterator[PatientServer]:
    """The project's own web server with one worker, on the test's database."""
    server = PatientServer(log=tmp_path / "log", DATABASE_URL=database_url())
    server.start()
    yield server
    server.close()


def test_orders_that_are_sent_again_after_kills_count_once(server, tenant, service_api):
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    token = service_api(scopes.COUPON_REDEEM).headers["Authorization"]

    def redeem(number: int) -> str:
        """Send one order until it is answered, as a shop does."""
        deadline = time.monotonic() + PATIENCE
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
            assert status in (0, 503), content
            assert time.monotonic() < deadline
            time.sleep(0.02)

    chance = random.Random(5)
    with ThreadPoolExecutor(6) as clients:
        redemptions = [clients.submit(redeem, number) for number in range(ORDERS)]
        for kill in range(1, KILLS + 1):
            wait_until(lambda kill=kill: Redemption.objects.count() >= kill * ORDERS // (KILLS + 2))
            time.sleep(chance.random() / 50)
            server.kill()
            wait_for_killed_sessions()
            [(counter, rows)] = Coupon.objects.annotate(rows=Count("redemptions")).values_list(
                "redemption_count", "rows"
            )
            assert counter == rows
            server.start()
        ids = [redemption.result() for redemption in redemptions]
    assert len(set(ids)) == ORDERS
    assert set(Redemption.objects.values_list("external_id", flat=True)) == set(ids)
    assert Coupon.objects.get().redemption_count == ORDERS
