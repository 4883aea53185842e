from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from accounts.tenancy import TenantOwned
from core.documents import Document, DocumentQuerySet

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


class Site(TenantOwned, Document):
    """A shop front of a tenant: its languages, currency and countries. Segments belong to one site."""

    code = models.CharField(
        max_length=128, validators=[RegexValidator(r"\A[^\s#]+\Z", "No blanks and no # in a site code.")]
    )
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)
    default_language = models.CharField(max_length=2, default="en")
    languages = ArrayField(models.CharField(max_length=2), default=default_languages)
    currency = models.CharField(max_length=3, default="EUR", validators=[CURRENCY])
    available_currencies = ArrayField(
        models.CharField(max_length=3, validators=[CURRENCY]), default=list, blank=True
    )
    ship_to_countries = ArrayField(models.CharField(max_length=2), default=list, blank=True)
    home_base = models.JSONField(default=dict, blank=True)
    tax_determination_based_on = models.CharField(
        max_length=16,
        choices=[("BILLING_ADDRESS", "Billing address"), ("SHIPPING_ADDRESS", "Shipping address")],
        default="BILLING_ADDRESS",
    )
    includes_tax = models.BooleanField(null=True, blank=True)
    settings = models.JSONField(
        default=dict, blank=True, help_text="Settings of neighbouring services, kept unchanged."
    )

    objects = DocumentQuerySet.as_manager()

    class Meta:
        ordering = ("code",)
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="site_code_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="site_tenant_key"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(is_default=True), name="site_single_default"
            ),
        ]

    def __str__(self) -> str:
        return self.code
