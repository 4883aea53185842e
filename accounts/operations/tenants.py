"""Tenants."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from accounts.errors import DuplicateId
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import Site
from core.sql.integrity import translate_integrity_errors
from core.tenancy.models import Tenant


@transaction.atomic
def create_tenant(
    *,
    name: str,
    title: str = "",
    languages: Sequence[str] = ("en",),
    default_language: str = "en",
    currency: str = "EUR",
    site_code: str = "main",
    at: datetime,
) -> Tenant:
    """Make a tenant with its default site. Raises DuplicateId and Django's ValidationError."""
    tenant = Tenant(
        name=name,
        title=title,
        languages=list(dict.fromkeys([default_language, *languages])),
        default_language=default_language,
        currency=currency,
    )
    tenant.full_clean(validate_unique=False, validate_constraints=False)
    with translate_integrity_errors({"tenancy_tenant_name_key": DuplicateId(resource_id=name)}):
        tenant.save()
    Site.objects.create(
        tenant=tenant,
        code=site_code,
        name=title or name,
        is_default=True,
        default_language=default_language[:2],
        languages=list(dict.fromkeys(language[:2] for language in tenant.languages)),
        currency=currency,
        available_currencies=[currency],
        version=0,
        created_at=at,
        modified_at=at,
    )
    return tenant


@transaction.atomic
def change_tenant(*, tenant: Tenant) -> Tenant:
    """Save a changed tenant. Tokens of one that is no longer active are refused at once.

    Raises Django's ValidationError.
    """
    tenant.full_clean()
    tenant.save()
    announce_revocation()
    return tenant
