"""Customers, and what is kept of those who were erased."""

from typing import Self

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower

from accounts.passwords import is_password
from core.search import search_words
from core.tenancy.documents import DocumentQuerySet, TenantDocument, TenantOwned
from core.tenancy.identifiers import UNREACHABLE_IDS
from core.text import normalized, trimmed

PREFERENCE_HELP = "Leave empty for the tenant's default."


def canonical_email(email: str) -> str:
    """Return what two ways of writing the same e-mail have in common; e-mails are stored in NFC."""
    return normalized(trimmed(email)).lower()


SEARCHED_FIELDS = ("external_id", "email", "first_name", "middle_name", "last_name", "company")


class CustomerQuerySet(DocumentQuerySet):
    """Reads of customers."""

    def with_email(self, email: str) -> Self:
        """Keep the customer with this e-mail, whatever its case and way of writing accents.

        Uses the unique index of a tenant.
        """
        wanted = Lower(Value(canonical_email(email)))
        return self.alias(lowered_email=Lower("email")).filter(lowered_email=wanted)


class Customer(TenantDocument):
    """A person who shops with a tenant, privately (B2C) or as contact of legal entities (B2B).

    `external_id` is the customer number. `email` is the login, unique in the tenant whatever its case.
    `has_initial_password` says that staff chose the password: the shop asks the customer for another one.
    """

    reserved_ids = UNREACHABLE_IDS | {"bulk", "import", "search"}

    email = models.EmailField(max_length=254, null=True, blank=True)
    password = models.CharField(max_length=128, blank=True, editable=False)
    has_initial_password = models.BooleanField(default=False, db_default=False, editable=False)
    title = models.CharField(max_length=20, blank=True)
    first_name = models.CharField(max_length=150, blank=True)
    middle_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    contact_phone = models.CharField(max_length=60, blank=True)
    company = models.CharField(max_length=200, blank=True)
    company_registration_id = models.CharField(max_length=100, blank=True)
    preferred_language = models.CharField(max_length=35, blank=True, help_text=PREFERENCE_HELP)
    preferred_currency = models.CharField(max_length=3, blank=True, help_text=PREFERENCE_HELP)
    preferred_site = models.CharField(max_length=128, blank=True, help_text=PREFERENCE_HELP)
    type = models.CharField(
        max_length=8, choices=[("CUSTOMER", "Customer"), ("CONTACT", "Contact")], default="CUSTOMER"
    )
    photo_url = models.URLField(max_length=2000, blank=True)
    is_active = models.BooleanField(default=True)
    is_on_hold = models.BooleanField(default=False)
    last_login_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = CustomerQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ("id",)
        indexes = [
            GinIndex(search_words(*SEARCHED_FIELDS), name="customer_words"),
            models.Index(fields=["tenant", "created_at"], name="customers_by_creation"),
            models.Index(
                fields=["tenant", "last_login_at"],
                condition=Q(last_login_at__isnull=False),
                name="customers_by_login",
            ),
            # of findings, which look for their memberships
            models.Index(fields=["tenant", "id"], condition=Q(is_on_hold=True), name="customers_on_hold"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="customer_id_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="customer_tenant_key"),
            models.UniqueConstraint("tenant", Lower("email"), name="customer_email_unique"),
        ]

    def __str__(self) -> str:
        name = f"{self.first_name} {self.last_name}".strip()
        return f"{name or self.email or ''} ({self.external_id})".strip()

    def accepts_password(self, password: str) -> bool:
        """Say whether this is the customer's password. A customer without one accepts none."""
        return is_password(password, self.password)


class Erasure(TenantOwned):
    """The record that a customer has been erased: when, by whom, how many rows of what, and the pseudonym.

    The number and the e-mail are kept as keyed hashes only, so that an import can refuse to bring them back.
    """

    pseudonym = models.CharField(max_length=64)
    number_hash = models.CharField(max_length=64, editable=False)
    email_hash = models.CharField(max_length=64, blank=True, editable=False)
    erased_at = models.DateTimeField()
    requested_by = models.CharField(max_length=200, help_text="Who asked for it.")
    counts = models.JSONField(default=dict, help_text="How many rows of what were deleted or changed.")

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["tenant", "number_hash"], name="erasure_of_number"),
            models.Index(fields=["tenant", "email_hash"], name="erasure_of_email"),
        ]

    def __str__(self) -> str:
        return self.pseudonym
