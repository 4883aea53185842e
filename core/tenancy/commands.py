from django.core.management.base import CommandError

from core.tenancy.models import Tenant


def tenant_named(name: str) -> Tenant:
    """Return the tenant that the arguments of a command name; raise CommandError when there is none."""
    tenant = Tenant.objects.filter(name=name).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {name}; create_tenant makes one.")
    return tenant
