"""Ending sessions from outside: staff shut somebody out."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from accounts.identity.models import Session
from accounts.identity.tokens.revocations import announce_revocation


@transaction.atomic
def end_sessions(*, sessions: QuerySet[Session], at: datetime) -> int:
    """End all the sessions that have not ended yet; none of their tokens is good any more. Return how many.

    Locks them in the order of their keys.
    """
    keys = list(
        Session.objects.filter(pk__in=sessions.order_by().values("pk"), revoked_at=None)
        .order_by("pk")
        .select_for_update(of=("self",))
        .values_list("pk", flat=True)
    )
    announce_revocation()
    return Session.objects.filter(pk__in=keys).update(revoked_at=at)
