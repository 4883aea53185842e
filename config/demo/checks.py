"""What must be true of the demo shop in production."""

from collections.abc import Sequence

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

from accounts.models import User
from config.demo.logins import published_logins


def check_published_logins(
    *, databases: Sequence[str] | None = None, **options: object
) -> list[CheckMessage]:
    """Refuse a database in which the demo shop's published logins work, unless DEBUG is on."""
    if settings.DEBUG or DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    if User._meta.db_table not in connections[DEFAULT_DB_ALIAS].introspection.table_names():
        return []  # nothing has been migrated yet
    logins = published_logins(timezone.now())
    if not logins:
        return []
    return [
        Error(
            f"Everybody knows these logins of the demo shop, and they work: {logins}.",
            hint="Run `manage.py close_demo_logins`, which takes their passwords and secrets away.",
            id="config.E004",
        )
    ]
