"""Which reads go to a replica, and what happens when it lags or vanishes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, OperationalError
from psycopg import errors as postgres

from accounts.identity.scopes import SEGMENT_MANAGE
from accounts.identity.tokens import verification
from config.database import database_settings
from config.server import replicas as watching
from config.server.replicas import Beat, Watch
from core.json_types import JsonObject
from core.sql import fetching
from core.sql.composition import sql
from core.sql.fetching import fetch_rows
from core.sql.replicas import begin_route, end_route, position_of, read_alias, replicas, route_reads
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.accounts import SiteFactory

SEGMENTS = "/customer-segment/acme/segments"
MAX_LAG = 3_600  # longer than any test takes, on a busy machine too


@pytest.fixture
def two() -> Iterator[None]:
    """Two replicas that show everything and have replayed up to 0/100."""
    replicas.configure(["replica-1", "replica-2"], max_lag=MAX_LAG, prepare=lambda alias: None)
    for replica in replicas.all:
        replica.fresh_at, replica.position = monotonic(), 0x100
    yield
    replicas.configure([], max_lag=0, prepare=lambda alias: None)


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The servers that statements were sent to; all of them are the test's database."""
    sent: list[str] = []
    original = fetching._fetch

    def fetch(text: str, params: object, alias: str, *, prepared: bool) -> list[tuple[object, ...]]:
        sent.append(alias)
        return original(text, params, DEFAULT_DB_ALIAS, prepared=prepared)

    monkeypatch.setattr(fetching, "_fetch", fetch)
    return sent


@pytest.fixture
def api(service_api: Callable[..., Api], tenant: Tenant) -> Api:
    SiteFactory(tenant=tenant, code="main", is_default=True)
    return service_api(SEGMENT_MANAGE)


@pytest.mark.parametrize(("revision", "position"), [("0/0", 0), ("0/1A2B", 0x1A2B), ("1/0", 1 << 32)])
def test_a_revision_is_a_number(revision: str, position: int) -> None:
    assert position_of(revision) == position


def test_replicas_take_turns(two: None) -> None:
    assert {replicas.choose() for _ in range(4)} == {"replica-1", "replica-2"}


def test_one_that_lags_or_is_away_is_left_out(two: None) -> None:
    first, second = replicas.all
    first.fresh_at = monotonic() - MAX_LAG - 1
    assert {replicas.choose() for _ in range(4)} == {"replica-2"}
    second.fresh_at = None
    assert {replicas.choose() for _ in range(4)} == {DEFAULT_DB_ALIAS}
    first.fresh_at = monotonic()
    assert {replicas.choose() for _ in range(4)} == {"replica-1"}


def test_a_least_revision_is_kept(two: None) -> None:
    replicas.all[1].position = 0x200
    assert {replicas.choose(0x180) for _ in range(4)} == {"replica-2"}
    assert replicas.choose(0x201) == DEFAULT_DB_ALIAS


def test_reads_of_the_api_go_to_a_replica_and_writes_to_the_primary(
    two: None, api: Api, asked: list[str]
) -> None:
    assert api.get(SEGMENTS).status_code == 200
    assert len(asked) == 1
    assert asked[0].startswith("replica")
    asked.clear()
    body = {"id": "gold", "name": {"en": "Gold"}, "siteCode": "main", "status": "ACTIVE"}
    response = api.post(SEGMENTS, body)
    assert response.status_code == 201
    assert set(asked) <= {DEFAULT_DB_ALIAS}
    assert position_of(response["X-Revision"]) > 0
    assert read_alias() == DEFAULT_DB_ALIAS


def test_a_read_after_a_write_goes_to_the_primary_until_a_replica_has_it(
    two: None, api: Api, asked: list[str]
) -> None:
    assert api.get(SEGMENTS, headers={"If-Min-Revision": "0/101"}).status_code == 200
    assert asked == [DEFAULT_DB_ALIAS]
    asked.clear()
    assert api.get(SEGMENTS, headers={"If-Min-Revision": "0/100"}).status_code == 200
    assert asked[0].startswith("replica")
    refused = api.get(SEGMENTS, headers={"If-Min-Revision": "latest"})
    assert refused.status_code == 400
    assert "If-Min-Revision is not a revision" in refused.content.decode()


def test_the_token_is_looked_up_on_the_primary(two: None, api: Api, asked: list[str], monkeypatch) -> None:
    """So a token that was revoked is refused, however far the replicas lag."""
    where: list[str] = []
    original = verification.accept_token

    def accept(*arguments: object, **named: object) -> object:
        where.append(read_alias())
        return original(*arguments, **named)

    monkeypatch.setattr(verification, "accept_token", accept)
    assert api.get(SEGMENTS).status_code == 200
    assert where == [DEFAULT_DB_ALIAS]
    assert asked[-1].startswith("replica")


@pytest.mark.parametrize(
    "cause", [postgres.AdminShutdown, postgres.ConnectionFailure, postgres.SerializationFailure, None]
)
def test_a_replica_that_fails_is_left_out_and_the_primary_answers(
    two: None, db: None, monkeypatch, cause: type[Exception] | None
) -> None:
    original = fetching._fetch

    def fetch(text: str, params: object, alias: str, *, prepared: bool) -> list[tuple[object, ...]]:
        if alias != DEFAULT_DB_ALIAS:
            raise OperationalError("gone") from (cause() if cause else None)
        return original(text, params, alias, prepared=prepared)

    monkeypatch.setattr(fetching, "_fetch", fetch)
    token = begin_route()
    route_reads()
    failed = read_alias()
    assert fetch_rows(sql("SELECT 1")) == [(1,)]
    assert read_alias() == DEFAULT_DB_ALIAS
    end_route(token)
    assert [one.alias for one in replicas.all if one.fresh_at is None] == [failed]


def test_a_statement_that_takes_long_is_no_failure_of_the_replica(two: None, db: None, monkeypatch) -> None:
    def fetch(text: str, params: object, alias: str, *, prepared: bool) -> list[tuple[object, ...]]:
        raise OperationalError("too long") from postgres.QueryCanceled()

    monkeypatch.setattr(fetching, "_fetch", fetch)
    token = begin_route()
    route_reads()
    with pytest.raises(OperationalError):
        fetch_rows(sql("SELECT 1"))
    end_route(token)
    assert all(one.fresh_at is not None for one in replicas.all)


def test_without_replicas_nothing_is_added(api: Api, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        api.get(SEGMENTS)
    body = {"id": "gold", "name": {"en": "Gold"}, "siteCode": "main", "status": "ACTIVE"}
    assert "X-Revision" not in api.post(SEGMENTS, body)


# --- watching


def test_a_replica_is_as_fresh_as_the_last_position_that_it_has_replayed(two: None, monkeypatch) -> None:
    watch, replica = Watch(), replicas.all[0]
    watch.beats.extend([Beat(10.0, 0x100), Beat(11.0, 0x100), Beat(12.0, 0x200)])
    answers: JsonObject = {"row": (True, "0/180")}
    monkeypatch.setattr(watching, "_row", lambda alias, statement: answers["row"])
    watch.look_at(replica)
    assert (replica.fresh_at, replica.position) == (11.0, 0x180)
    answers["row"] = (True, "0/FF")  # behind all that is known
    watch.look_at(replica)
    assert replica.fresh_at is None
    answers["row"] = (True, "0/200")
    watch.look_at(replica)
    assert replica.fresh_at == 12.0
    answers["row"] = (False, "0/200")  # promoted
    watch.look_at(replica)
    assert replica.fresh_at is None


def test_addresses_of_replicas_are_settings_of_web_workers_only() -> None:
    environ = {
        "DATABASE_URL": "postgres://u:p@db/segments",
        "DATABASE_REPLICA_URLS": "postgres://u:p@one/segments, postgres://u:p@two/segments",
    }
    from_web = database_settings({**environ, "SERVICE_ROLE": "web"}, Path())
    assert [*from_web] == ["default", "replica-1", "replica-2"]
    assert [from_web[name]["HOST"] for name in from_web] == ["db", "one", "two"]
    assert from_web["replica-1"]["OPTIONS"]["target_session_attrs"] == "any"
    assert from_web["default"]["OPTIONS"]["target_session_attrs"] == "read-write"
    assert "statement_timeout=5000" in from_web["replica-1"]["OPTIONS"]["options"]
    assert [*database_settings(environ, Path())] == ["default"]
    with pytest.raises(ImproperlyConfigured, match="DATABASE_REPLICA_URLS names no database"):
        database_settings(
            {**environ, "SERVICE_ROLE": "web", "DATABASE_REPLICA_URLS": "postgres://one"}, Path()
        )
