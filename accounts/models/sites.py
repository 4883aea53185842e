from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from core.tenancy.documents import Document, DocumentQuerySet, TenantOwned
from core.tenancy.models import CURRENCY, default_languages
from core.timestamps import time_zone_names


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

    @property
    def time_zone(self) -> ZoneInfo | None:
        """The zone that the site is at home in; None when it names none."""
        name = (self.home_base or {}).get("timezone")
        return ZoneInfo(name) if name in time_zone_names() else None
