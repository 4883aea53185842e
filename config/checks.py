"""What must be true of the machine that the project runs on."""

import os
from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from config.environment import Environment

OLDEST_SERVER = 15
# Migrations were made anew once, before the first release. Only a database of before has this one.
FORMER_MIGRATION = ("accounts", "0004_imports")
FORMER_LAYOUT = "The database was made before tables were named anew, and cannot be migrated."
FORMER_LAYOUT_REMEDY = (
    "`make reset` empties it, after asking; then `make run` loads the demo shop again. To keep what it holds,"
    " export it with the version that made it."
)


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


def check_layout(*, databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """Refuse a database of before the migrations were made anew."""
    return [
        Error(FORMER_LAYOUT, hint=FORMER_LAYOUT_REMEDY, id="config.E003")
        for alias in databases or ()
        if has_former_layout(connections[alias])
    ]


def has_former_layout(connection: BaseDatabaseWrapper) -> bool:
    return FORMER_MIGRATION in MigrationRecorder(connection).applied_migrations()


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
