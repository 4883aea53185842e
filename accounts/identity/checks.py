"""What must be true of the keys that sign tokens in production."""

from collections.abc import Sequence

from django.core.checks import CheckMessage, Error
from django.db import DEFAULT_DB_ALIAS, connections

from accounts.identity.models import SigningKey
from accounts.identity.tokens.keys import UNREADABLE_KEY, UNREADABLE_KEY_REMEDY, has_unreadable_key


def check_signing_key(*, databases: Sequence[str] | None = None, **options: object) -> list[CheckMessage]:
    """Refuse a database whose key that signs tokens was made with another SECRET_KEY."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    if SigningKey._meta.db_table not in connections[DEFAULT_DB_ALIAS].introspection.table_names():
        return []  # nothing has been migrated yet
    if not has_unreadable_key():
        return []
    return [Error(UNREADABLE_KEY, hint=UNREADABLE_KEY_REMEDY, id="identity.E001")]
