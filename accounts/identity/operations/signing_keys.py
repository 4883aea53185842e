"""Replaces the keys that sign tokens."""

from datetime import datetime

from django.db import transaction

from accounts.identity.models import SigningKey
from accounts.identity.tokens.keys import (
    create_first_keys,
    is_readable,
    needed_since,
    new_signing_key,
    signing_keys,
)
from core.sql.locks import Lock, take_lock


@transaction.atomic
def rotate_signing_keys(*, at: datetime) -> SigningKey:
    """Sign with the next key from now on, retire the active one, and make a new next one; return the active.

    Whoever verifies tokens has had time to fetch the next key from the key set already. Retired keys stay
    in the key set until the last token they signed has expired; then they are deleted. A next key that this
    service cannot decrypt, because SECRET_KEY has changed, is replaced by a new one.
    """
    take_lock(Lock.SIGNING_KEYS)
    create_first_keys()
    keys = {row.status: row for row in SigningKey.objects.exclude(status="retired")}
    active, upcoming = keys["active"], keys.get("next")
    active.status = "retired"
    active.retired_at = at
    active.save(update_fields=["status", "retired_at"])
    if upcoming is None or not is_readable(upcoming):
        if upcoming is not None:
            upcoming.delete()
        upcoming = new_signing_key(status="active", at=at)
    upcoming.status = "active"
    upcoming.save()
    new_signing_key(status="next", at=at).save()
    SigningKey.objects.filter(retired_at__lt=needed_since(at)).delete()
    transaction.on_commit(signing_keys.forget)
    return upcoming
