"""The demo tenant itself: its site, the programs that call for it, and the logins that everybody knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission
from django.db.models import Model, Q

from accounts.identity.models import ApiClient, ClientSecret
from accounts.identity.scopes import SERVICE_SCOPES
from accounts.identity.tokens.opaque import digest_of
from accounts.models import Site, User
from core.imports.merge import Tally
from core.tenancy.documents import Document
from core.tenancy.models import Tenant

DEMO_TENANT = "demo"
LANGUAGES = ["en", "de"]
CURRENCY = "USD"  # the prices of the data are in US dollars
SITE = "main"
MERCHANDISERS = "Merchandiser"  # one of the groups that a migration makes
CUSTOMER_PASSWORD = "demo"  # noqa: S105 -- known to everybody, and refused outside development (logins.py)
EDITED = (
    ("segments", "segment"),
    ("segments", "customerassignment"),
    ("segments", "itemassignment"),
    ("coupons", "coupon"),
    ("coupons", "couponsegment"),
    ("coupons", "couponcategory"),
)
VIEWED = (
    ("accounts", "customer"),
    ("accounts", "legalentity"),
    ("accounts", "contactassignment"),
    ("accounts", "site"),
    ("catalog", "product"),
    ("catalog", "category"),
    ("catalog", "categoryassignment"),
    ("coupons", "redemption"),
    ("coupons", "reservation"),
    ("coupons", "couponcampaign"),
    ("journal", "change"),
)


class NameTaken(Exception):
    """A client id or a user name of the demo shop belongs to another tenant."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the shop's logins are called. The tenant `demo` has the short ones."""

    tenant: str

    @property
    def backend(self) -> str:
        return f"{self.tenant}-backend"

    @property
    def backend_secret(self) -> str:
        return f"{self.tenant}-backend-secret"

    @property
    def storefront(self) -> str:
        return f"{self.tenant}-storefront"

    @property
    def merchandiser(self) -> str:
        return "merchandiser" if self.tenant == DEMO_TENANT else f"{self.tenant}-merchandiser"


def make_tenant(name: str, at: datetime) -> tuple[Tenant, Tally]:
    """Return the tenant with its site, made or brought up to date."""
    tally = Tally()
    tenant = _settled(
        Tenant,
        {"name": name},
        {"title": "Demo shop", "default_language": "en", "languages": LANGUAGES, "currency": CURRENCY},
        tally,
        at=at,
    )
    has_other_default = Site.objects.filter(tenant=tenant, is_default=True).exclude(code=SITE).exists()
    _settled(
        Site,
        {"tenant": tenant, "code": SITE},
        {
            "name": "Main site",
            "is_active": True,
            "is_default": not has_other_default,
            "default_language": "en",
            "languages": LANGUAGES,
            "currency": CURRENCY,
            "available_currencies": [CURRENCY],
            "ship_to_countries": ["US"],
        },
        tally,
        at=at,
    )
    return tenant, tally


def make_clients(tenant: Tenant, names: Names, at: datetime) -> Tally:
    """Make the API clients, where they are missing; a secret that was rotated stays."""
    tally = Tally()
    taken = ApiClient.objects.filter(client_id__in=[names.backend, names.storefront]).exclude(tenant=tenant)
    for client in taken:
        raise NameTaken(f"The API client {client.client_id} belongs to the tenant {client.tenant}.")
    backend = _settled(
        ApiClient,
        {"client_id": names.backend},
        {"tenant": tenant, "name": "Demo backend", "scopes": list(SERVICE_SCOPES), "is_active": True},
        tally,
        at=at,
    )
    if not backend.secrets.exists():
        ClientSecret.objects.create(
            client=backend, slot=1, digest=digest_of(names.backend_secret), created_at=at
        )
    _settled(
        ApiClient,
        {"client_id": names.storefront},
        {"tenant": tenant, "name": "Demo storefront", "may_start_sessions": True, "is_active": True},
        tally,
        at=at,
    )
    return tally


def make_staff(tenant: Tenant, names: Names) -> Tally:
    """Make the users of the admin, where they are missing; users that exist keep their passwords."""
    tally = Tally()
    group, _ = Group.objects.get_or_create(name=MERCHANDISERS)
    group.permissions.add(*merchandiser_permissions())
    taken = User.objects.filter(username=names.merchandiser).exclude(tenant=tenant).first()
    if taken is not None:
        raise NameTaken(f"The user {names.merchandiser} belongs to the tenant {taken.tenant}.")
    _make_user("admin", tally, is_staff=True, is_superuser=True)
    merchandiser = _make_user(names.merchandiser, tally, is_staff=True, tenant=tenant)
    merchandiser.groups.add(group)
    return tally


def merchandiser_permissions() -> list[Permission]:
    """Return what merchandisers may do: curate segments and coupons, and look at the shop around them."""
    wanted = Q()
    for actions, models in ((("view", "add", "change", "delete"), EDITED), (("view",), VIEWED)):
        for app, model in models:
            codes = [f"{action}_{model}" for action in actions]
            wanted |= Q(content_type__app_label=app, codename__in=codes)
    return list(Permission.objects.filter(wanted))


def _make_user(name: str, tally: Tally, **rights: object) -> User:
    tally.rows += 1
    user = User.objects.filter(username=name).first()
    if user is not None:
        tally.unchanged += 1
        return user
    tally.created += 1
    # The well-known logins have their name for a password.
    return User.objects.create(username=name, password=make_password(name), **rights)


def _settled(
    model: type[Model], key: Mapping[str, object], values: Mapping[str, object], tally: Tally, *, at: datetime
) -> Any:
    """Return the row of this key with these values, written only when that changes something."""
    tally.rows += 1
    row = model._default_manager.filter(**key).first()
    if row is None:
        tally.created += 1
        return model._default_manager.create(**key, **values)
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    if changed:
        tally.changed += 1
        for name in changed:
            setattr(row, name, values[name])
        if isinstance(row, Document):
            row.version += 1
            row.modified_at = at
            changed += ["version", "modified_at"]
        row.save(update_fields=changed)
    else:
        tally.unchanged += 1
    return row
