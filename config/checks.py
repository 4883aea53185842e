"""What must be true of the machine that the project runs on."""

import os
from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

from config.environment import Environment

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


def check_trusted_proxies(**options: Any) -> list[CheckMessage]:
    """Warn where nobody has said how many proxies there are: production has one, which ends TLS."""
    if Environment(os.environ).text("TRUSTED_PROXIES"):
        return []
    return [
        Warning(
            "TRUSTED_PROXIES is not set, so X-Forwarded-For is ignored: behind a reverse proxy all clients"
            " share its address, and the limits of failed attempts that go by address.",
            hint="Set TRUSTED_PROXIES to the number of reverse proxies that add to X-Forwarded-For, or to 0"
            " if clients connect to the service itself.",
            id="config.W001",
        )
    ]
