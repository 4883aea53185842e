"""A database that is locked, frozen, read-only, or that ends connections."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.db import ConnectionHandler, OperationalError, connection, transaction

from accounts.identity import scopes
from config.database import database_settings
from config.server.postgres.base import DatabaseWrapper
from core.sql.fetching import ServerSilent
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


@pytest.fixture
def connect(proxy: FreezableProxy) -> Iterator[Callable[..., DatabaseWrapper]]:
    """Connect through the proxy with the settings of a process of this role."""
    made = []

    def connect(role: str, **environ: str) -> DatabaseWrapper:
        environ = {"DATABASE_URL": through(proxy), "SERVICE_ROLE": role, **environ}
        wrapper = ConnectionHandler(database_settings(environ, Path("/")))["default"]
        made.append(wrapper)
        return wrapper

    yield connect
    proxy.thaw()
    for wrapper in made:
        wrapper.close()


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


@pytest.mark.parametrize("role", ["web", "background", "command"])
def test_a_connection_notices_a_server_that_is_gone_without_a_word(connect, role):
    wrapper = connect(role)
    wrapper.ensure_connection()
    with socket.fromfd(wrapper.connection.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM) as end:
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        assert [end.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in options] == [
            30,
            5,
            3,
            10_000,
        ]


def execute(wrapper: DatabaseWrapper, statement: str = "SELECT 1") -> None:
    with wrapper.cursor() as cursor:
        cursor.execute(statement)


def execute_many(wrapper: DatabaseWrapper) -> None:
    with wrapper.cursor() as cursor:
        cursor.executemany("SELECT %s", [[1], [2]])


def copy_in(wrapper: DatabaseWrapper) -> None:
    with wrapper.cursor() as cursor, cursor.copy("COPY names FROM STDIN") as copy:
        copy.write_row(["a"])


def copy_out(wrapper: DatabaseWrapper) -> None:
    with wrapper.cursor() as cursor, cursor.copy("COPY names TO STDOUT") as copy:
        list(copy.rows())


def fetch_in_parts(wrapper: DatabaseWrapper) -> None:
    with wrapper.chunked_cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()


def send_in_pipeline(wrapper: DatabaseWrapper) -> None:
    with wrapper.wrap_database_errors, wrapper.connection.pipeline():
        wrapper.connection.execute("SELECT 1")


SENT = [
    execute,
    execute_many,
    copy_in,
    copy_out,
    fetch_in_parts,
    send_in_pipeline,
    DatabaseWrapper.savepoint,
    DatabaseWrapper.commit,
    DatabaseWrapper.rollback,
    DatabaseWrapper.is_read_only,
]


@pytest.mark.parametrize("send", SENT, ids=lambda send: send.__name__)
def test_whatever_is_sent_to_a_frozen_database_has_a_deadline(connect, proxy, send):
    wrapper = connect("web")
    assert wrapper.settings_dict["STATEMENT_DEADLINE"] == 7  # statement_timeout and two seconds
    wrapper.settings_dict["STATEMENT_DEADLINE"] = 0.2
    wrapper.ensure_connection()
    wrapper.set_autocommit(False)
    execute(wrapper, "CREATE TEMPORARY TABLE names (name text)")
    proxy.freeze()

    silent = (OperationalError, ServerSilent)  # Django leaves the errors of COPY as they are
    with pytest.raises(silent, match=r"^PostgreSQL did not answer within 0\.2 s\.$"):
        send(wrapper)

    assert wrapper.connection.closed
