"""The time zones in which a tenant's days begin: those of its sites."""

from collections.abc import Callable
from datetime import UTC, tzinfo

_find_zone: Callable[[int, str], tzinfo] | None = None


def register_time_zones(find: Callable[[int, str], tzinfo]) -> None:
    """Name what finds the time zone of a tenant's site; an empty code means the default site."""
    global _find_zone  # noqa: PLW0603 -- filled once, when the apps are ready
    _find_zone = find


def zone_of_tenant(tenant_id: int | None, site_code: str = "") -> tzinfo:
    """Return the time zone of the site, else of the tenant's default site; UTC where there is none."""
    return UTC if tenant_id is None or _find_zone is None else _find_zone(tenant_id, site_code)
