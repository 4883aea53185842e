from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.callers import CallerKind
from accounts.models import Customer, LegalEntity, Site, Tenant
from accounts.tokens import issue_access_token
from tests.factories.accounts import SiteFactory, TenantFactory


class Api:
    """A client of the API that holds a token and speaks JSON."""

    def __init__(self, token: str | None, headers: dict[str, str] | None = None) -> None:
        self.client = Client(raise_request_exception=True)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.headers.update(headers or {})

    def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Any:
        """Send a request; keyword arguments become the query string."""
        arguments: dict[str, Any] = {"headers": {**self.headers, **(headers or {})}}
        if query:
            arguments["query_params"] = query
        if body is not None:
            arguments.update(data=body, content_type="application/json")
        return getattr(self.client, method.lower())(path, **arguments)

    def get(self, path: str, **arguments: Any) -> Any:
        return self.send("get", path, **arguments)

    def post(self, path: str, body: Any = None, **arguments: Any) -> Any:
        return self.send("post", path, body, **arguments)

    def put(self, path: str, body: Any = None, **arguments: Any) -> Any:
        return self.send("put", path, body, **arguments)

    def patch(self, path: str, body: Any = None, **arguments: Any) -> Any:
        return self.send("patch", path, body, **arguments)

    def delete(self, path: str, body: Any = None, **arguments: Any) -> Any:
        return self.send("delete", path, body, **arguments)


@pytest.fixture
def tenant(db: None) -> Tenant:
    return TenantFactory(name="acme")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return TenantFactory(name="globex")


@pytest.fixture
def site(tenant: Tenant) -> Site:
    return SiteFactory(tenant=tenant, code="main", is_default=True)


@pytest.fixture
def now() -> datetime:
    """The present, in whole milliseconds as the wire knows it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@pytest.fixture
def service_api(tenant: Tenant) -> Callable[..., Api]:
    """Make a client with a service token of these scopes, of the tenant `acme` unless another is named."""

    def make(*scopes: str, tenant: Tenant = tenant, headers: dict[str, str] | None = None) -> Api:
        token = issue_access_token(
            tenant=tenant,
            kind=CallerKind.SERVICE,
            client_id="test-client",
            scopes=scopes,
            at=datetime.now(UTC),
        )
        return Api(token, headers)

    return make


@pytest.fixture
def customer_api() -> Callable[..., Api]:
    """Make a client with a customer's token, perhaps acting for a legal entity."""

    def make(
        customer: Customer, *, legal_entity: LegalEntity | None = None, headers: dict[str, str] | None = None
    ) -> Api:
        token = issue_access_token(
            tenant=customer.tenant,
            kind=CallerKind.CUSTOMER,
            client_id="test-storefront",
            customer=customer,
            legal_entity=legal_entity,
            at=datetime.now(UTC),
        )
        return Api(token, headers)

    return make


@pytest.fixture
def anonymous_api(tenant: Tenant) -> Api:
    """A client with an anonymous token of the tenant `acme`."""
    token = issue_access_token(
        tenant=tenant, kind=CallerKind.ANONYMOUS, client_id="test-storefront", at=datetime.now(UTC)
    )
    return Api(token)
