"""What is deleted of identity, and when; and the task that hashes taken-over passwords."""

from datetime import datetime, timedelta

from django.contrib.sessions.models import Session as StaffSession

from accounts.identity.models import AttemptCounter, RefreshToken, Session
from accounts.identity.operations.password_migrations import continue_migrations
from core.background.retention import Retention, delete_some, register_retention
from core.background.tasks import Task, register_task

AT_ONCE = timedelta(0)


def continue_password_migrations(at: datetime) -> bool:
    continue_migrations(at=at)
    return False


def delete_sessions(before: datetime, most: int) -> int:
    """Delete the sessions that were over by then; their refresh tokens go with them in the database."""
    return delete_some(Session.objects.filter(expires_at__lte=before).order_by("expires_at"), most)


def delete_refresh_tokens(before: datetime, most: int) -> int:
    return delete_some(RefreshToken.objects.filter(expires_at__lte=before).order_by("pk"), most)


def delete_attempt_counters(before: datetime, most: int) -> int:
    """Delete the counters whose window was over by then."""
    return delete_some(AttemptCounter.objects.filter(resets_at__lte=before).order_by("resets_at"), most)


def delete_staff_sessions(before: datetime, most: int) -> int:
    return delete_some(StaffSession.objects.filter(expire_date__lte=before).order_by("expire_date"), most)


register_retention(
    Retention("sessions", "sessions that have expired", AT_ONCE, delete_sessions),
    Retention("refresh-tokens", "refresh tokens that have expired", AT_ONCE, delete_refresh_tokens),
    Retention("attempts", "counters of attempts whose window is over", AT_ONCE, delete_attempt_counters),
    Retention("admin-sessions", "logins of the admin that have expired", AT_ONCE, delete_staff_sessions),
)
register_task(
    Task("continue password migrations", run=continue_password_migrations, interval=timedelta(hours=1))
)
