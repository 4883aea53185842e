"""A database that is locked, frozen, read-only, or that ends connections."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection, transaction

from accounts.identity import scopes
from coupons.models import Coupon, Redemption
from tests.factories.coupons import CouponFactory
from tests.faults.proxies import FreezableProxy
from tests.waiting import PATIENCE, sessions_that_wait_for_locks, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = json.dumps(
    {"orderTotal": {"amount": 100, "currency": "EUR"}, "discount": {"amount": 10, "currency": "EUR"}}
)
SEGMENTS = "/customer-segment/acme/segments"


@pytest.fixture
def token(tenant, service_api) -> str:
    return service_api(scopes.COUPON_REDEEM, scopes.SEGMENT_READ).headers["Authorization"]


@pytest.fixture
def proxy() -> Iterator[FreezableProxy]:
    parameters = connection.get_connection_params()
    proxy = FreezableProxy(Path(parameters["host"]) / f".s.PGSQL.{parameters.get('port') or 5432}")
    yield proxy
    proxy.close()


def through(proxy: FreezableProxy) -> str:
    user = connection.get_connection_params().get("user", "")
    return f"postgres://{quote(user)}@127.0.0.1:{proxy.port}/{connection.settings_dict['NAME']}"


def end_sessions_of_others() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 240000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]


def test_clients_that_wait_for_one_coupon_leave_all_other_requests_unharmed(serve_database, tenant, token):
    for code in ("HELD", "OTHER"):
        CouponFactory(tenant=tenant, code=code, allows_anonymous=True)
    server = serve_database()

    def redeem(code: str) -> int:
        return server.send("POST", f"/coupon/acme/coupons/{code}/redemptions", ORDER, Authorization=token)[0]

    assert redeem("OTHER") == 201
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with psycopg.connect(**connection.get_connection_params()) as session:
            session.execute("SELECT * FROM coupons_coupon WHERE code = 'HELD' FOR UPDATE")
            held.set()
            release.wait(PATIENCE)

    with ThreadPoolExecutor(25) as clients:
        clients.submit(hold)
        assert held.wait(PATIENCE)
        waiting = [clients.submit(redeem, "HELD") for _ in range(24)]
        wait_until(lambda: sessions_that_wait_for_locks() == 4)  # half of the threads of the lane

        for _ in range(5):
            assert server.status_of("/healthz") == 200
            assert server.send("GET", SEGMENTS, Authorization=token)[0] == 200
            assert redeem("OTHER") == 201
        assert not any(redemption.done() for redemption in waiting)

        release.set()
        assert {redemption.result() for redemption in waiting} == {201}
    held_coupon = Coupon.objects.get(code="HELD")
    assert held_coupon.redemption_count == Redemption.objects.filter(coupon=held_coupon).count()


def test_a_frozen_database_holds_no_request_beyond_its_deadline_and_is_used_again(serve, proxy, token):
    server = serve(DATABASE_URL=through(proxy), DATABASE_STATEMENT_TIMEOUT_MS="500")
    wait_until(lambda: server.send("GET", SEGMENTS, Authorization=token)[0] == 200)
    wait_until(lambda: server.status_of("/readyz") == 200)
    proxy.freeze()

    with ThreadPoolExecutor(8) as clients:
        stuck = [clients.submit(server.send, "GET", SEGMENTS, None, Authorization=token) for _ in range(8)]
        assert server.status_of("/healthz") == 200
        status, body = server.send("GET", "/readyz")  # without a deadline it would never be answered
        assert (status, json.loads(body)["status"]) == (503, "down")
        assert {request.result()[0] for request in stuck} == {503}

    proxy.thaw()
    wait_until(lambda: server.status_of("/readyz") == 200)
    wait_until(lambda: server.send("GET", SEGMENTS, Authorization=token)[0] == 200)


def test_no_request_fails_after_the_server_ended_idle_connections(serve_database, token):
    server = serve_database()
    for _ in range(3):
        with ThreadPoolExecutor(6) as clients:
            requests = [
                clients.submit(server.send, "GET", SEGMENTS, None, Authorization=token) for _ in range(24)
            ]
            assert {request.result()[0] for request in requests} == {200}
        assert end_sessions_of_others() > 0


def test_a_read_only_database_is_left_until_it_accepts_writes_again(serve_database, token):
    server = serve_database()
    assert server.send("GET", SEGMENTS, Authorization=token)[0] == 200
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        end_sessions_of_others()
        assert server.send("GET", "/readyz") == (503, b'{"status": "down", "database": "read-only"}')
        assert server.send("GET", SEGMENTS, Authorization=token)[0] == 503
        assert server.status_of("/healthz") == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    wait_until(lambda: server.status_of("/readyz") == 200)
    assert server.send("GET", SEGMENTS, Authorization=token)[0] == 200
