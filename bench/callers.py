"""Who sends the requests: tokens of the data set's customers and of its backend."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from accounts.identity.models import ApiClient, Session
from accounts.identity.tokens import issue_access_token
from accounts.models import Customer
from bench.dataset.people import TENANTS
from core.tenancy.callers import CallerKind
from core.tenancy.models import Tenant

LIFETIME = 6 * 3_600  # seconds; longer than any benchmark


def service_headers(tenant: int) -> tuple[tuple[str, str], ...]:
    """Return the headers of a backend that holds every scope."""
    client = ApiClient.objects.get(client_id=f"{TENANTS[tenant]}-backend")
    token = issue_access_token(
        tenant=Tenant.objects.get(pk=tenant),
        kind=CallerKind.SERVICE,
        client_id=client.client_id,
        scopes=client.scopes,
        at=datetime.now(UTC),
        lifetime=LIFETIME,
    )
    return (("Authorization", f"Bearer {token}"),)


def headers_of_customers(keys: Iterable[int]) -> dict[int, tuple[tuple[str, str], ...]]:
    """Return, for each of these customers, the headers of a storefront on which they have logged in."""
    at = datetime.now(UTC)
    clients = {client.client_id: client for client in ApiClient.objects.all()}
    customers = Customer.objects.select_related("tenant").in_bulk(list(keys))
    sessions = Session.objects.bulk_create(
        Session(
            tenant=customer.tenant,
            client=clients[f"{TENANTS[customer.tenant_id]}-storefront"],
            customer=customer,
            created_at=at,
            expires_at=at + timedelta(seconds=LIFETIME),
        )
        for customer in customers.values()
    )
    found = {}
    for session, customer in zip(sessions, customers.values(), strict=True):
        token = issue_access_token(
            tenant=customer.tenant,
            kind=CallerKind.CUSTOMER,
            client_id=session.client.client_id,
            session_id=str(session.session_id),
            customer=customer,
            at=at,
            lifetime=LIFETIME,
        )
        found[customer.pk] = (("Authorization", f"Bearer {token}"),)
    return found
