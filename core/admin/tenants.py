"""Whose rows a member of staff may see. All that is known of tenants: rows and staff have one."""

from collections.abc import Iterable
from typing import Protocol, TypeVar, cast

from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.tenancy.models import Tenant

Row = TypeVar("Row", bound=models.Model)


class Staff(Protocol):
    """A member of staff: what `core` knows of the model of `accounts`."""

    pk: int
    tenant: Tenant | None
    tenant_id: int | None
    is_superuser: bool

    def get_username(self) -> str: ...

    def has_perm(self, perm: str, obj: object = None) -> bool: ...

    def has_perms(self, perms: Iterable[str], obj: object = None) -> bool: ...


def staff_of(request: HttpRequest) -> Staff:
    """Return who is logged in to the admin."""
    return cast(Staff, request.user)


def sees_all_tenants(request: HttpRequest) -> bool:
    """Say whether this is a superuser who belongs to no tenant."""
    user = request.user
    return bool(user.is_superuser and user.tenant_id is None)


def staff_tenant_id(request: HttpRequest) -> int | None:
    """Return the key of the only tenant that the user may see; None when they may see all.

    Raises PermissionDenied for staff without a tenant, whom the database refuses as well.
    """
    user = staff_of(request)
    if user.tenant_id is None and not user.is_superuser:
        raise PermissionDenied(_("This user belongs to no tenant."))
    return user.tenant_id


def has_tenant(model: type[models.Model]) -> bool:
    """Say whether rows of this model name their tenant themselves."""
    try:
        model._meta.get_field("tenant")
    except FieldDoesNotExist:
        return False
    return True


def of_tenant(queryset: models.QuerySet[Row], path: str, tenant_id: int | None) -> models.QuerySet[Row]:
    """Keep the rows whose `path` leads to the tenant; all of them when no tenant is named."""
    return queryset if tenant_id is None else queryset.filter(**{path: tenant_id})
