"""The demo shop's published logins: which of them still work, and how to end that."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from accounts.identity.models import ApiClient, ClientSecret, Session
from accounts.identity.operations.clients import revoke_client_tokens
from accounts.identity.operations.session_revocations import end_sessions
from accounts.identity.tokens.opaque import is_digest_of
from accounts.models import Customer, User
from accounts.passwords import is_password
from config.demo.shop import CUSTOMER_PASSWORD, DEMO_TENANT, Names
from core.tenancy.models import Tenant


@dataclass(frozen=True, slots=True)
class PublishedLogins:
    """Logins that everybody knows and that work."""

    staff: list[User]
    secrets: list[ClientSecret]
    customers: list[QuerySet[Customer]]
    """The customers of each tenant who have the published password."""

    def __bool__(self) -> bool:
        return bool(self.staff or self.secrets or self.customers)

    def __str__(self) -> str:
        return ", ".join(self.names())

    def names(self) -> Iterator[str]:
        for user in self.staff:
            yield f"staff {user.username}/{user.username}"
        for secret in self.secrets:
            yield f"API client {secret.client.client_id} with the secret {secret.client.client_id}-secret"
        for customers in self.customers:
            yield f"{customers.count():,} customers with the password {CUSTOMER_PASSWORD}"


def published_logins(at: datetime) -> PublishedLogins:
    """Return the logins of demo shops, in whichever tenants, whose published passwords and secrets work."""
    return PublishedLogins(
        staff=[user for user in demo_staff() if user.check_password(user.username)],
        secrets=[secret for secret in demo_secrets(at) if is_published(secret)],
        customers=[customers for tenant in Tenant.objects.all() for customers in demo_customers(tenant)],
    )


@transaction.atomic
def close_published_logins(logins: PublishedLogins, *, at: datetime) -> None:
    """Take the passwords and secrets away, and end the sessions and tokens that were had by them."""
    for user in logins.staff:
        user.set_unusable_password()
        user.save(update_fields=["password"])  # which ends the user's sessions in the admin
    for secret in logins.secrets:
        revoke_client_tokens(client=secret.client, at=at)
        secret.delete()
    for customers in logins.customers:
        keys = list(customers.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
        Customer.objects.filter(pk__in=keys).update(password="")
        end_sessions(sessions=Session.objects.filter(customer__in=keys), at=at)


def demo_staff() -> QuerySet[User]:
    merchandiser = Names(DEMO_TENANT).merchandiser
    names = Q(username="admin") | Q(username=merchandiser) | Q(username__endswith=f"-{merchandiser}")
    return User.objects.filter(names, is_active=True).order_by("username")


def demo_secrets(at: datetime) -> QuerySet[ClientSecret]:
    good = Q(expires_at=None) | Q(expires_at__gt=at)
    backends = ApiClient.objects.filter(client_id__endswith=Names("").backend, is_active=True)
    return ClientSecret.objects.filter(good, client__in=backends).select_related("client").order_by("pk")


def is_published(secret: ClientSecret) -> bool:
    return is_digest_of(f"{secret.client.client_id}-secret", secret.digest)


def demo_customers(tenant: Tenant) -> Iterator[QuerySet[Customer]]:
    """Yield the tenant's customers of the demo shop who have the published password, if there are any.

    They share one hash unless somebody has set another, so few hashes are verified.
    """
    households = (
        Customer.objects.for_tenant(tenant.pk)
        .alias(lowered_email=Lower("email"))
        .filter(lowered_email__startswith="household-", lowered_email__endswith="@example.com")
        .exclude(password="")
    )
    hashes = set(households.order_by().values_list("password", flat=True).distinct())
    if published := [encoded for encoded in hashes if is_password(CUSTOMER_PASSWORD, encoded)]:
        yield households.filter(password__in=published)
