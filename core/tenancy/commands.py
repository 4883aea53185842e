from django.core.management.base import CommandError

from core.tenancy.models import Tenant, UnknownTenant, tenant_called


def tenant_named(name: str) -> Tenant:
    """Return the tenant that the arguments of a command name; raise CommandError when there is none."""
    try:
        return tenant_called(name)
    except UnknownTenant as unknown:
        raise CommandError(unknown.message) from None
