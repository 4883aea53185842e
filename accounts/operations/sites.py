"""Sites. A tenant has at most one default site, and never loses the one it has but to another."""

from collections.abc import Callable
from datetime import datetime

from django.db import IntegrityError, transaction

from accounts.errors import DefaultSiteRequired, DuplicateSiteCode, SiteInUse
from accounts.models import Site
from accounts.operations.documents import Change, apply_change, delete_row
from core.errors import InvalidInput, NotFound
from core.sql.integrity import translate_integrity_errors
from core.tenancy.models import Tenant


@transaction.atomic
def create_site(*, tenant_id: int, code: str, change: Change, at: datetime) -> Site:
    """Make a site; a tenant's first one, and one that asks for it, becomes the default.

    Raises DuplicateSiteCode and InvalidInput.
    """
    lock_sites(tenant_id)
    has_default = Site.objects.filter(tenant=tenant_id, is_default=True).exists()
    site = Site(tenant_id=tenant_id, code=code, version=0, created_at=at, modified_at=at, **change.values)
    check_languages(site)
    if not has_default:
        site.is_default = True
    elif site.is_default:
        Site.objects.filter(tenant=tenant_id, is_default=True).update(is_default=False)
    with translate_integrity_errors({"site_code_unique": DuplicateSiteCode(code=code)}):
        site.save()
    return site


@transaction.atomic
def change_site(*, tenant_id: int, code: str, change: Callable[[Site], Change], at: datetime) -> Site:
    """Change the site to what `change` makes of the locked row. A new default takes the place of the old one.

    Raises NotFound, VersionConflict, DefaultSiteRequired and InvalidInput.
    """
    lock_sites(tenant_id)
    site = locked_site(tenant_id, code)
    was_default = site.is_default
    apply_change(site, change(site), at=at)
    check_languages(site)
    if was_default and not site.is_default:
        raise DefaultSiteRequired("This is the default site; make another site the default instead.")
    if site.is_default and not was_default:
        Site.objects.filter(tenant=tenant_id, is_default=True).update(is_default=False)
    site.save()
    return site


@transaction.atomic
def delete_site(*, tenant_id: int, code: str) -> None:
    """Delete the site. Raises NotFound, DefaultSiteRequired, and SiteInUse when segments belong to it."""
    lock_sites(tenant_id)
    site = locked_site(tenant_id, code, for_deletion=True)
    if site.is_default:
        raise DefaultSiteRequired("The default site cannot be deleted.")
    try:
        with transaction.atomic():
            delete_row(site)
    except IntegrityError as violation:
        raise SiteInUse(code=code) from violation


def lock_sites(tenant_id: int) -> None:
    """Let one writer at a time decide which site is the default: they queue at the tenant's row."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)


def locked_site(tenant_id: int, code: str, *, for_deletion: bool = False) -> Site:
    """Lock the site until commit; rows that refer to it wait for a deletion only. Raises NotFound."""
    sites = Site.objects.select_for_update(of=("self",), no_key=not for_deletion)
    site = sites.filter(tenant=tenant_id, code=code).first()
    if site is None:
        raise NotFound(f"There is no site {code}.", resource_id=code)
    return site


def locked_version(*, tenant_id: int, code: str) -> int:
    """Lock the tenant's row, then the site, until commit, and return its version; raise NotFound."""
    lock_sites(tenant_id)
    return locked_site(tenant_id, code).version


def check_languages(site: Site) -> None:
    if site.default_language not in site.languages:
        raise InvalidInput(
            f"languages must contain the default language {site.default_language}.", field="languages"
        )
