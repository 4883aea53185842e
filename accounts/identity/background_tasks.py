"""What workers do for sessions and passwords in the background."""

from datetime import datetime, timedelta

from accounts.identity.operations.password_migrations import continue_migrations
from accounts.identity.operations.retention import (
    delete_attempt_counters,
    delete_refresh_tokens,
    delete_sessions,
    delete_staff_sessions,
)
from core.background.retention import Retention, register_retention
from core.background.tasks import Task, register_task

AT_ONCE = timedelta(0)


def continue_password_migrations(at: datetime) -> bool:
    continue_migrations(at=at)
    return False


register_retention(
    Retention("sessions", "sessions that have expired", AT_ONCE, delete_sessions),
    Retention("refresh-tokens", "refresh tokens that have expired", AT_ONCE, delete_refresh_tokens),
    Retention("attempts", "counters of attempts whose window is over", AT_ONCE, delete_attempt_counters),
    Retention("admin-sessions", "logins of the admin that have expired", AT_ONCE, delete_staff_sessions),
)
register_task(
    Task("continue password migrations", run=continue_password_migrations, interval=timedelta(hours=1))
)
