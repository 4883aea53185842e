"""Deletes what is over: sessions, refresh tokens, counters of attempts, and logins of the admin."""

from datetime import datetime

from django.contrib.sessions.models import Session as StaffSession

from accounts.identity.models import AttemptCounter, RefreshToken, Session
from core.background.retention import delete_some


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
