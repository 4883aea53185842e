"""Notes when staff log out, so that the history has it."""

from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import User


@receiver(user_logged_out)
def note_logout(*, user: Any, **signal: object) -> None:
    """Write down when the member of staff logged out; nobody has when the session was over already."""
    if isinstance(user, User):
        User.objects.filter(pk=user.pk).update(last_logout=timezone.now())
