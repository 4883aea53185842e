from django.db import models
from django.utils import timezone

from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey


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
