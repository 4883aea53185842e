"""What must be true of the machine that the project runs on."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import connections

OLDEST_SERVER = 15


def check_server_version(*, databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """Refuse a PostgreSQL that lacks what the migrations use (NULLS NOT DISTINCT came with 15)."""
    messages: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        major = connection.get_database_version()[0]
        if connection.vendor != "postgresql" or major < OLDEST_SERVER:
            messages.append(
                Error(
                    f"The database server is {connection.display_name} {major}.",
                    hint=f"Let DATABASE_URL name a PostgreSQL {OLDEST_SERVER} or newer.",
                    id="config.E001",
                )
            )
    return messages
