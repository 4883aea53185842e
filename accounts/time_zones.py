"""The time zone of a tenant: that of its default site."""

from datetime import UTC, tzinfo

from accounts.models import Site


def zone_of_tenant(tenant_id: int) -> tzinfo:
    """Return the time zone of the tenant's default site; UTC when it has none."""
    site = Site.objects.filter(tenant=tenant_id, is_default=True).only("home_base").first()
    return (site.time_zone if site else None) or UTC
