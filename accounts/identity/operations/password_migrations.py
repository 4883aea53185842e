"""Password hashes of other systems: how long they are kept, and what becomes of them then."""

from datetime import date, datetime, timedelta

from django.db import transaction

from accounts.errors import PasswordMigrationUnderway
from accounts.identity.models import LegacyPassword, PasswordMigration
from accounts.mail import make_email, send_email
from core.errors import InvalidInput, NotFound
from core.tenancy.models import Tenant

REMINDED_BEFORE = timedelta(days=7)
SENT_AT_ONCE = 1_000


def configure_migration(
    *,
    tenant_id: int,
    retention_end_date: date,
    email_reminder_date: date | None,
    email_notifications_enabled: bool,
    at: datetime,
) -> PasswordMigration:
    """Say until which day the tenant keeps password hashes of another system.

    Without a reminder date customers are reminded 7 days before, or tomorrow when that is no later than
    today. Raises InvalidInput unless the end is after today and the reminder between today and the end.
    """
    today = at.date()
    if retention_end_date <= today:
        raise InvalidInput("retentionEndDate must be after today.", field="retentionEndDate")
    reminder = email_reminder_date
    if reminder is None:
        usual = retention_end_date - REMINDED_BEFORE
        reminder = usual if usual > today else today + timedelta(days=1)
    elif not today <= reminder < retention_end_date:
        raise InvalidInput(
            "emailReminderDate must be today or later, and before retentionEndDate.",
            field="emailReminderDate",
        )
    migration, _ = PasswordMigration.objects.update_or_create(
        tenant_id=tenant_id,
        defaults={
            "retention_end_date": retention_end_date,
            "email_reminder_date": reminder,
            "email_notifications_enabled": email_notifications_enabled,
            "reminded_at": None,
        },
    )
    return migration


def migration_of(tenant_id: int) -> PasswordMigration:
    """Return what the tenant has configured; raise NotFound when that is nothing."""
    migration = PasswordMigration.objects.filter(tenant=tenant_id).first()
    if migration is None:
        raise NotFound("The tenant has no password migration retention configuration.")
    return migration


@transaction.atomic
def remove_migration(*, tenant_id: int) -> None:
    """Remove the configuration. Raises PasswordMigrationUnderway while there are hashes that it is about."""
    # An import of such hashes locks the configuration too, so that none comes in between.
    list(PasswordMigration.objects.select_for_update().filter(tenant=tenant_id))
    if LegacyPassword.objects.filter(tenant=tenant_id).exists():
        raise PasswordMigrationUnderway
    PasswordMigration.objects.filter(tenant=tenant_id).delete()


def continue_migrations(*, at: datetime) -> tuple[int, int]:
    """Remind customers whose day has come, and delete the hashes whose time is over; return how many of each.

    Run it once a day. Customers get e-mails when their tenant wants that.
    """
    today = at.date()
    reminded = cleared = 0
    due = PasswordMigration.objects.select_related("tenant")
    for migration in due.filter(
        email_reminder_date__lte=today, retention_end_date__gt=today, reminded_at=None
    ).order_by("pk"):
        reminded += notify(migration, template="password_reminder", subject="Please log in once")
        PasswordMigration.objects.filter(pk=migration.pk).update(reminded_at=at)
    for migration in due.filter(retention_end_date__lte=today).order_by("pk"):
        with transaction.atomic():
            notify(migration, template="password_expired", subject="Please choose a new password")
            cleared += LegacyPassword.objects.filter(tenant=migration.tenant_id).delete()[0]
    return reminded, cleared


def notify(migration: PasswordMigration, *, template: str, subject: str) -> int:
    """Write to the customers who have not logged in yet; return to how many."""
    if not migration.email_notifications_enabled:
        return 0
    tenant: Tenant = migration.tenant
    waiting = LegacyPassword.objects.filter(tenant=tenant, customer__email__isnull=False)
    count = 0
    for email in waiting.values_list("customer__email", flat=True).iterator(chunk_size=SENT_AT_ONCE):
        assert email is not None
        context = {"shop": tenant.title, "until": migration.retention_end_date}
        send_email(make_email(email, subject=subject, template=template, context=context))
        count += 1
    return count
