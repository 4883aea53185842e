"""Notes when staff log out, so that the history has it."""

import logging
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db import OperationalError, transaction
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import User

logger = logging.getLogger(__name__)


@receiver(user_logged_out)
def note_logout(*, user: Any, **signal: object) -> None:
    """Write down when the member of staff logged out; nobody has when the session was over already.

    Django ends the session after this, so a row that somebody else holds must not prevent it.
    """
    if not isinstance(user, User):
        return
    try:
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(last_logout=timezone.now())
    except OperationalError as error:
        logger.warning("The logout of a member of staff is not in the history.", exc_info=error)
