"""The time zones of a tenant's sites."""

from datetime import UTC, tzinfo

from django.db.models import Q

from accounts.models import Site
from core.tenancy.time_zones import register_time_zones


def zone_of_site(tenant_id: int, site_code: str = "") -> tzinfo:
    """Return the time zone of the site, else of the tenant's default site; UTC when neither names one."""
    sites = Site.objects.filter(Q(code=site_code) | Q(is_default=True), tenant=tenant_id).only(
        "code", "home_base"
    )
    zones = {site.code == site_code: site.time_zone for site in sites}
    return zones.get(True) or zones.get(False) or UTC


register_time_zones(zone_of_site)
