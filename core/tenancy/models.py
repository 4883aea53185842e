from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from core.errors import NotFound
from core.tenancy.callers import TenantRecord

LANGUAGE = RegexValidator(r"\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", "Name a language such as en or de-CH.")
CURRENCY = RegexValidator(r"\A[A-Z]{3}\Z", "Name a currency by its three ISO 4217 letters, such as EUR.")


def default_languages() -> list[str]:
    return ["en"]


class Tenant(models.Model):
    """A shop operator whose data no other tenant ever sees."""

    name = models.CharField(
        max_length=16,
        unique=True,
        validators=[RegexValidator(r"\A[a-z][a-z0-9]{2,15}\Z", "3 to 16 lower-case letters and digits.")],
    )
    title = models.CharField(max_length=200, blank=True)
    default_language = models.CharField(max_length=35, default="en", validators=[LANGUAGE])
    languages = ArrayField(models.CharField(max_length=35, validators=[LANGUAGE]), default=default_languages)
    currency = models.CharField(max_length=3, default="EUR", validators=[CURRENCY])
    is_active = models.BooleanField(default=True)
    limit_reached = models.TextField(
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Why nothing may be added at present.",
    )

    class Meta:
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(
                condition=Q(name__regex=r"^[a-z][a-z0-9]{2,15}$"), name="tenant_name_is_lower_case"
            ),
            models.CheckConstraint(
                condition=Q(languages__contains=[models.F("default_language")]),
                name="tenant_default_language_is_configured",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def record(self) -> TenantRecord:
        """The tenant as requests and imports know it."""
        return TenantRecord(
            self.pk,
            self.name,
            self.default_language,
            tuple(self.languages),
            self.currency,
            self.limit_reached,
        )


class UnknownTenant(NotFound):
    """No tenant has this name."""

    code = "unknown_tenant"


def tenant_called(name: str) -> Tenant:
    """Return the tenant of this name; raise UnknownTenant when there is none."""
    tenant = Tenant.objects.filter(name=name).first()
    if tenant is None:
        raise UnknownTenant(f"There is no tenant {name}. `create_tenant` makes one.")
    return tenant
