"""How many rows and bytes each tenant may store.

The background worker counts them (config/background_tasks.py) and notes in the tenant's row that a limit is
reached. A request learns of it with its token, so a limit costs no statement, and holds some minutes late.
"""

from collections.abc import Mapping

from django.conf import settings

from core.errors import NotAllowed
from core.tenancy.callers import TenantRecord
from core.tenancy.models import Tenant
from core.tenancy.rate_limits import ALL


class TenantIsFull(NotAllowed):
    """The tenant stores as much as it may, so nothing is added."""

    code = "tenant_is_full"


def limit_for(limits: Mapping[str, float], tenant: str) -> float | None:
    """Return what the tenant may have by such a setting; None for no limit."""
    return limits.get(tenant, limits.get(ALL))


def has_limits(tenant: str) -> bool:
    return any(limit_for(one, tenant) for one in (settings.TENANT_MAX_ROWS, settings.TENANT_MAX_BYTES))


def note_usage(tenant: Tenant, *, rows: int, size: int) -> None:
    """Note whether the tenant has reached a limit, as it has so many rows and bytes."""
    message = ""
    for count, limits, unit in (
        (rows, settings.TENANT_MAX_ROWS, "rows"),
        (size, settings.TENANT_MAX_BYTES, "bytes"),
    ):
        most = limit_for(limits, tenant.name)
        if most is not None and count >= most:
            message = (
                f"The tenant stores {count:,} {unit}, and may store {int(most):,}. Delete some, or ask the"
                " operator of this service for more; they are counted once an hour."
            )
    Tenant.objects.filter(pk=tenant.pk).exclude(limit_reached=message).update(limit_reached=message)


def require_room(tenant: TenantRecord) -> None:
    """Raise TenantIsFull when the tenant had reached a limit when it was last counted."""
    if tenant.limit_reached:
        raise TenantIsFull(tenant.limit_reached)
