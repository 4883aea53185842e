"""Clients and their secrets, signing keys, sessions, passwords of other systems, and counted attempts."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext

from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey


class ApiClient(TenantOwned):
    """A program that calls the API for a tenant, known by its client id.

    Tokens issued before `tokens_not_before` are refused: that is how all tokens of a client are revoked.
    """

    client_id = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200, blank=True)
    scopes = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    may_start_sessions = models.BooleanField(
        "storefront", default=False, help_text="May start anonymous and customer sessions without a secret."
    )
    is_active = models.BooleanField(default=True)
    tokens_not_before = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("client_id",)
        verbose_name = "API client"
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="api_client_tenant_key")]

    def __str__(self) -> str:
        return self.client_id


class ClientSecret(models.Model):
    """One of at most two live secrets of a client, so that secrets can be rotated without an outage.

    Only the SHA-256 digest is kept: a secret has 256 random bits, which no slow hash makes safer.
    """

    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="secrets")
    slot = models.PositiveSmallIntegerField(choices=[(1, "1"), (2, "2")])
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "slot"], name="client_secret_slot_unique"),
            models.CheckConstraint(condition=Q(slot__in=[1, 2]), name="client_secret_two_slots"),
        ]

    def __str__(self) -> str:
        return gettext("Secret {slot} of {client}").format(slot=self.slot, client=self.client)


class SigningKey(models.Model):
    """A key pair that signs tokens: next, then active, then retired until its last token expires."""

    kid = models.CharField(max_length=64, unique=True)
    private_key = models.TextField(editable=False, help_text="PEM, encrypted with the service's secret key.")
    public_key = models.JSONField(help_text="JSON Web Key.")
    status = models.CharField(
        max_length=7, choices=[("next", "Next"), ("active", "Active"), ("retired", "Retired")]
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["status"], condition=~Q(status="retired"), name="signing_key_one_per_status"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kid} ({self.status})"


class Session(TenantOwned):
    """A visit to a storefront: anonymous, or a customer's who may act for a legal entity."""

    session_id = models.UUIDField(unique=True, default=uuid.uuid4)
    client = TenantForeignKey(ApiClient, on_delete=models.CASCADE, related_name="sessions", db_index=True)
    customer = TenantForeignKey(
        "accounts.Customer",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="sessions",
        db_index=True,
    )
    legal_entity = TenantForeignKey(
        "accounts.LegalEntity",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=True,
    )
    context = models.JSONField(
        default=dict, blank=True, help_text="Currency, site, language and location the storefront named."
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "customer"], name="session_of_customer"),
            models.Index(fields=["expires_at"], name="session_expiry"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="session_tenant_key"),
        ]

    def __str__(self) -> str:
        return str(self.session_id)


class RefreshToken(TenantOwned):
    """A refresh token, kept as its SHA-256 digest.

    It is used once; using it again later, or from another address, revokes its session.
    """

    session = TenantForeignKey(
        Session, on_delete=models.CASCADE, related_name="refresh_tokens", db_index=True
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    used_from = models.CharField(
        max_length=64,
        blank=True,
        db_default="",
        editable=False,
        help_text="The digest of the address that used it.",
    )

    class Meta:
        indexes = [models.Index(fields=["tenant", "session"], name="refresh_token_of_session")]
        constraints = []

    def __str__(self) -> str:
        return gettext("refresh token {number} of {session}").format(number=self.pk, session=self.session_id)


class LegacyPassword(TenantOwned):
    """The password hash of another system, until its customer has logged in with the password once.

    Then the password is hashed as all others are, and this row goes. `algorithm` names a verifier of
    settings.LEGACY_PASSWORD_VERIFIERS, `context` is what that needs besides the hash.
    """

    customer = TenantForeignKey(
        "accounts.Customer", on_delete=models.CASCADE, related_name="legacy_passwords", db_index=True
    )
    algorithm = models.CharField(max_length=100)
    hash = models.CharField(max_length=500, editable=False)
    context = models.JSONField(default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "customer"], name="legacy_password_of_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} password of {self.customer_id}"


class PasswordMigration(TenantOwned):
    """Until when a tenant keeps password hashes of another system, and whether it writes to customers."""

    retention_end_date = models.DateField()
    email_reminder_date = models.DateField()
    email_notifications_enabled = models.BooleanField(default=True)
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="password_migration_of_tenant")]

    def __str__(self) -> str:
        return f"until {self.retention_end_date}"


class AttemptCounter(models.Model):
    """How often one subject has tried something, since the first try of the present window.

    The subject is the digest of what is guarded (a login, a coupon code) and whom it is counted for (an
    address, an e-mail), so that nothing personal is kept here. That an account has logged in from an address
    is kept in the same way: as a counter of nothing, until it no longer matters.
    """

    subject = models.CharField(max_length=64, primary_key=True, editable=False)
    attempts = models.PositiveIntegerField()
    resets_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["resets_at"], name="attempt_counter_expiry")]

    def __str__(self) -> str:
        text = ngettext("{number} attempt until {time}", "{number} attempts until {time}", self.attempts)
        ends = date_format(localtime(self.resets_at), "DATETIME_FORMAT")
        return text.format(number=self.attempts, time=ends)
