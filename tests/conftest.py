import gc
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from unittest import mock

import psycopg
import pytest
import pytest_django
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler
from django.utils import timezone
from hypothesis import settings as hypothesis_settings

from accounts.identity.models import ApiClient, Session, SigningKey
from accounts.identity.operations.clients import recent_clients
from accounts.identity.scopes import SERVICE_SCOPES
from accounts.identity.tokens import issue_access_token, verify_access_token
from accounts.identity.tokens.keys import new_signing_key, signing_keys
from accounts.identity.tokens.verification import forget_accepted_tokens
from accounts.models import Customer, LegalEntity, Site
from core.api import conditional
from core.api.conditional import NOT_KEPT, body_of, kept_bodies
from core.json_types import JsonObject
from core.tenancy.callers import CallerKind
from core.tenancy.models import Tenant
from coupons.judgements import JUDGEMENTS
from segments.partitioning import drop_old, partition_memberships
from tests import cleaning
from tests.databases import drop_database, make_database
from tests.factories.accounts import (
    ApiClientFactory,
    CustomerFactory,
    SessionFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)

# A change is tested by what it changes, not by luck: the examples are the same in every run. To look for new
# ones: HYPOTHESIS_PROFILE=exploring. How long an example takes says something only of the machine.
hypothesis_settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis_settings.register_profile("exploring", deadline=None)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# When the requests of all tests happen; in whole milliseconds, as the wire knows them.
NOW = datetime(2026, 3, 4, 9, 30, 15, 250_000, tzinfo=UTC)
HANDLER = ClientHandler(enforce_csrf_checks=False)

TESTS = Path(__file__).parent
# Marked slow: what drives browsers, servers and threads, loads data sets, or tries many random examples.
SLOW = (
    "accounts/identity/test_revocation_across_processes.py",
    "architecture/test_admin_hostile_addresses.py",
    "architecture/test_admin_isolation.py",
    "architecture/test_admin_lookups.py",
    "architecture/test_admin_pages.py",
    "architecture/test_admin_roles.py",
    "bench",
    "browser",
    "catalog/test_subtrees.py",
    "catalog/test_tree_model.py",
    "clients",
    "concurrency",
    "config/demo",
    "config/test_command_line.py",
    "config/test_embedded_postgres.py",
    "config/test_responses.py",
    "config/test_server.py",
    "config/test_staff_login.py",
    "conventions/test_actors.py",
    "conventions/test_queries.py",
    "conventions/test_schemathesis.py",
    "core/background/test_processes.py",
    "core/imports/test_columns.py",
    "core/imports/test_removals.py",
    "core/imports/test_resume.py",
    "core/imports/test_round_trips.py",
    "core/imports/test_sizes.py",
    "core/imports/test_trouble.py",
    "core/journal/test_history_model.py",
    "core/journal/test_undo_model.py",
    "core/representation/test_query_oracle.py",
    "coupons/test_eligibility_model.py",
    "coupons/test_reservation_model.py",
    "deploy/test_backups.py",
    "deploy/test_documentation.py",
    "events/feed/test_killed_worker.py",
    "events/test_killed_workers.py",
    "faults",
    "segments/rules/test_model.py",
    "segments/test_effects_model.py",
    "segments/test_explanations_model.py",
    "segments/test_partitioning.py",
    "segments/test_visibility_model.py",
    "upgrade",
)


# One process runs all tests of such a folder, which share a data set; of other folders, all tests of a file.
SHARED = ("bench", "config/demo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow. Several processes do that first, so that all have something to do until the end."""
    slow, shared = ([TESTS / place for place in places] for places in (SLOW, SHARED))
    is_divided = "PYTEST_XDIST_WORKER" in os.environ
    for item in items:
        if any(item.path.is_relative_to(place) for place in slow):
            item.add_marker(pytest.mark.slow)
        if is_divided:
            group = next((place for place in shared if item.path.is_relative_to(place)), item.path)
            item.add_marker(pytest.mark.xdist_group(str(group.relative_to(TESTS))))
    if is_divided:
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_configure() -> None:
    """Look for garbage seldom: a process that ends in minutes has little of it."""
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the millions of objects that live until the end: tests, models, modules."""
    gc.freeze()


def web_client() -> Client:
    """Return a client with a jar of its own. All share one chain of middleware: making it takes 0.1 s."""
    client = Client()
    client.handler = HANDLER
    return client


class ClockType(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


class Clock(metaclass=ClockType):
    """Replaces `datetime` in `django.utils.timezone`, so that `timezone.now()` returns `at`."""

    at: datetime

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return cls.at.astimezone(tz)

    @classmethod
    def advance(cls, by: timedelta) -> None:
        cls.at += by


class Api:
    """A client of the API that holds a token and speaks JSON."""

    def __init__(self, token: str | None, headers: dict[str, str] | None = None) -> None:
        self.client = web_client()
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.headers.update(headers or {})

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        **query: object,
    ) -> HttpResponse:
        """Send a request; keyword arguments become the query string."""
        arguments: JsonObject = {"headers": {**self.headers, **(headers or {})}}
        if query:
            arguments["query_params"] = query
        if body is not None:
            arguments.update(data=body, content_type="application/json")
        elif method.lower() == "post":  # Django's client would send an empty form
            arguments.update(data=b"", content_type="application/json")
        return getattr(self.client, method.lower())(path, **arguments)

    def get(self, path: str, **arguments: object) -> HttpResponse:
        return self.send("get", path, **arguments)

    def post(self, path: str, body: object = None, **arguments: object) -> HttpResponse:
        return self.send("post", path, body, **arguments)

    def put(self, path: str, body: object = None, **arguments: object) -> HttpResponse:
        return self.send("put", path, body, **arguments)

    def patch(self, path: str, body: object = None, **arguments: object) -> HttpResponse:
        return self.send("patch", path, body, **arguments)

    def delete(self, path: str, body: object = None, **arguments: object) -> HttpResponse:
        return self.send("delete", path, body, **arguments)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_createdb: bool,
    django_db_blocker: pytest_django.DjangoDbBlocker,
) -> Iterator[None]:
    """Make the database of the tests; those that commit empty it quickly. --create-db migrates it anew.

    TEST_PARTITIONED=1 has the memberships partitioned in it (docs/large-tables.md).
    """
    with django_db_blocker.unblock():
        usual = make_database(anew=django_db_createdb)
        if os.environ.get("TEST_PARTITIONED"):
            partition_memberships(4, tell=lambda text: None)
            drop_old(lambda text: None)
        cleaning.install()
    yield
    with django_db_blocker.unblock():
        drop_database(usual)


@pytest.fixture(autouse=True)
def forgetful() -> None:
    """What one test made a process remember of its clients and tokens means nothing to the next."""
    recent_clients.clear()
    JUDGEMENTS.clear()
    forget_accepted_tokens()
    kept_bodies().clear()


@pytest.fixture(autouse=True)
def compared_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare each kept body that a test is answered with what is answered without it."""

    def compared(tag: str, answer: Callable[[], HttpResponse], accept_encoding: str) -> HttpResponse:
        kept = kept_bodies().get(tag)
        response = body_of(tag, answer, accept_encoding)
        if kept is not None:
            logged = len(connection.queries_log)
            fresh = answer()
            while len(connection.queries_log) > logged:  # a test's budget is that of the kept body
                connection.queries_log.pop()
            headers = {name: value for name, value in fresh.items() if name not in NOT_KEPT}
            assert (kept.body, dict(kept.headers)) == (fresh.content, headers), "a kept body is stale"
        return response

    monkeypatch.setattr(conditional, "body_of", compared)


@pytest.fixture
def tenant(db: None) -> Tenant:
    return TenantFactory(name="acme")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return TenantFactory(name="globex")


@pytest.fixture
def site(tenant: Tenant) -> Site:
    return SiteFactory(tenant=tenant, code="main", is_default=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[type[Clock]]:
    """Stop the clock of requests, admin pages and model defaults, so that no test depends on the time of day.

    A test that needs a later moment calls `clock.advance`. Other processes have their own clock.
    """
    Clock.at = NOW
    with mock.patch.object(timezone, "datetime", Clock):
        yield Clock


@pytest.fixture
def real_time(clock: type[Clock]) -> None:
    """Set the clock to the time of other processes, which accept no token from another time."""
    clock.at = datetime.now(UTC)


@pytest.fixture
def now(clock: type[Clock]) -> datetime:
    """The time at which the test's requests happen."""
    return clock.at


@pytest.fixture(scope="session")
def key_pairs() -> list[SigningKey]:
    """The key pairs of this run: making new ones takes too long to do it in every test."""
    return [new_signing_key(status="active"), new_signing_key(status="next")]


@pytest.fixture
def stored_signing_keys(db: None, key_pairs: list[SigningKey]) -> None:
    """Sign with the key pairs of this run. They are saved anew, as every test rolls them back."""
    SigningKey.objects.exclude(kid__in=[key.kid for key in key_pairs]).delete()
    for key in key_pairs:
        key.pk = None
    SigningKey.objects.bulk_create(key_pairs, ignore_conflicts=True)
    signing_keys.forget()


def checked_token(token: str, at: datetime) -> str:
    """Return the token after it has been seen once, so that a test's budget counts only the request."""
    verify_access_token(token, at=at)
    return token


def client_of(tenant: Tenant, name: str) -> ApiClient:
    """Return the tenant's client of this name; there is one for all tokens of a test."""
    client_id = f"{name}-{tenant.name}"
    return ApiClient.objects.filter(client_id=client_id).first() or ApiClientFactory(
        tenant=tenant, client_id=client_id
    )


def session_of(
    tenant: Tenant, at: datetime, customer: Customer | None = None, legal_entity: LegalEntity | None = None
) -> Session:
    return SessionFactory(
        tenant=tenant,
        client=client_of(tenant, "test-storefront"),
        customer=customer,
        legal_entity=legal_entity,
        created_at=at,
    )


@pytest.fixture
def service_api(tenant: Tenant, stored_signing_keys: None) -> Callable[..., Api]:
    """Make a client with a service token of these scopes, of the tenant `acme` unless another is named."""

    def make(*scopes: str, tenant: Tenant = tenant, headers: dict[str, str] | None = None) -> Api:
        at = timezone.now()
        token = issue_access_token(
            tenant=tenant,
            kind=CallerKind.SERVICE,
            client_id=client_of(tenant, "test-client").client_id,
            scopes=scopes,
            at=at,
        )
        return Api(checked_token(token, at), headers)

    return make


@pytest.fixture
def customer_api(stored_signing_keys: None) -> Callable[..., Api]:
    """Make a client with a customer's token, perhaps acting for a legal entity."""

    def make(
        customer: Customer, *, legal_entity: LegalEntity | None = None, headers: dict[str, str] | None = None
    ) -> Api:
        at = timezone.now()
        session = session_of(customer.tenant, at, customer, legal_entity)
        token = issue_access_token(
            tenant=customer.tenant,
            kind=CallerKind.CUSTOMER,
            client_id=session.client.client_id,
            session_id=str(session.session_id),
            customer=customer,
            legal_entity=legal_entity,
            at=at,
        )
        return Api(checked_token(token, at), headers)

    return make


@pytest.fixture
def anonymous_api(tenant: Tenant, stored_signing_keys: None) -> Api:
    """A client with an anonymous token of the tenant `acme`."""
    at = timezone.now()
    session = session_of(tenant, at)
    token = issue_access_token(
        tenant=tenant,
        kind=CallerKind.ANONYMOUS,
        client_id=session.client.client_id,
        session_id=str(session.session_id),
        at=at,
    )
    return Api(checked_token(token, at))


@pytest.fixture
def api(service_api: Callable[..., Api]) -> Api:
    """A service that may do everything."""
    return service_api(*SERVICE_SCOPES)


@pytest.fixture
def customer(tenant: Tenant) -> Customer:
    return CustomerFactory(
        tenant=tenant, external_id="C1", first_name="Jo", last_name="Doe", email="jo@example.com"
    )


def browser_with(tenant: Tenant, *left_out: str) -> Client:
    """The admin as somebody of the tenant sees it who has every right there but for those left out."""
    user = UserFactory(username="staff", tenant=tenant)
    user.user_permissions.set(Permission.objects.exclude(codename__in=left_out))
    browser = web_client()
    browser.force_login(user)
    return browser


@pytest.fixture
def staff_browser(tenant: Tenant) -> Client:
    """The admin as somebody of the tenant `acme` sees it who has every right there."""
    return browser_with(tenant)


@pytest.fixture
def operator_browser(db: None) -> Client:
    """The admin as a superuser sees it who belongs to no tenant."""
    browser = web_client()
    browser.force_login(UserFactory(username="operator", tenant=None, is_superuser=True))
    return browser


@pytest.fixture
def holder(transactional_db: None) -> Iterator[psycopg.Connection]:
    """Another session of the same database, whose transaction keeps its locks until the test ends it."""
    with psycopg.connect(**connection.get_connection_params()) as session:
        yield session
        session.rollback()


@pytest.fixture
def impatient(transactional_db: None) -> Iterator[None]:
    """Let this thread's connection wait for locks a twentieth of a second, not three."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    yield
    connection.close()
