"""What must be true of the machine that the project runs on."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from config.environment import Environment
from config.server.limits import connections_needed

OLDEST_SERVER = 15
MOST_DRIFT = 2.0  # seconds
FACTS = """
SELECT current_user, usesuper,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       clock_timestamp()
FROM pg_user WHERE usename = current_user
"""
# Migrations were made anew once, before the first release. Only a database of before has this one.
FORMER_MIGRATION = ("accounts", "0004_imports")
FORMER_LAYOUT = "The database was made before tables were named anew, and cannot be migrated."
FORMER_LAYOUT_REMEDY = (
    "`make reset` empties it, after asking; then `make run` loads the demo shop again. To keep what it holds,"
    " export it with the version that made it."
)


def check_server_version(*, databases: Sequence[str] | None = None, **options: object) -> list[CheckMessage]:
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


def check_layout(*, databases: Sequence[str] | None = None, **options: object) -> list[CheckMessage]:
    """Refuse a database of before the migrations were made anew."""
    return [
        Error(FORMER_LAYOUT, hint=FORMER_LAYOUT_REMEDY, id="config.E003")
        for alias in databases or ()
        if has_former_layout(connections[alias])
    ]


def has_former_layout(connection: BaseDatabaseWrapper) -> bool:
    return FORMER_MIGRATION in MigrationRecorder(connection).applied_migrations()


def check_server_of_its_own(**options: object) -> list[CheckMessage]:
    """Warn of the embedded PostgreSQL: it is made for development, and its role is a superuser by trust."""
    if Environment(os.environ).text("DATABASE_URL"):
        return []
    return [
        Warning(
            "DATABASE_URL is not set, so the embedded PostgreSQL is used, which is made for development.",
            hint="Let DATABASE_URL name a PostgreSQL server; see docs/deploy.md.",
            id="config.W002",
        )
    ]


def check_writable_folder(**options: object) -> list[CheckMessage]:
    """Refuse a VAR_DIR that this user cannot write: the server keeps its process file there, and more."""
    folder = Path(settings.VAR_DIR)
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    if os.access(there, os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"VAR_DIR is {folder}, and this user cannot write to {there}.",
            hint="Name a folder that belongs to the user of the service.",
            id="config.E002",
        )
    ]


def check_database_for_production(
    *, databases: Sequence[str] | None = None, **options: object
) -> list[CheckMessage]:
    """Look at the role, the room for connections, the clock and the migrations of a database."""
    return [message for alias in databases or () for message in _problems_of(connections[alias])]


def _problems_of(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    with connection.cursor() as cursor:
        cursor.execute(FACTS)
        role, is_superuser, most, now = cursor.fetchone()
    if is_superuser:
        yield Warning(
            f"The role {role} is a superuser of PostgreSQL, so a fault of the service reaches everything.",
            hint="Let DATABASE_URL name a role that only owns its database; see docs/deploy.md.",
            id="config.W003",
        )
    needed = connections_needed(os.environ)
    if needed > most:
        yield Warning(
            f"This server by itself may need {needed} connections; PostgreSQL permits {most} in all.",
            hint="Raise max_connections, lower WEB_WORKERS or WEB_THREADS, or use PgBouncer.",
            id="config.W004",
        )
    drift = abs((datetime.now(UTC) - now).total_seconds())
    if drift > MOST_DRIFT:
        yield Warning(
            f"The clocks of this machine and of PostgreSQL are {drift:.1f} seconds apart.",
            hint="Let both take the time from a time server: windows open and close by this machine's clock.",
            id="config.W005",
        )
    executor = MigrationExecutor(connection)
    if missing := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield Warning(
            f"{len(missing)} migrations are not applied yet.",
            hint="`manage.py migrate` applies them; `manage.py serve` does so when it starts.",
            id="config.W006",
        )


def check_trusted_proxies(**options: object) -> list[CheckMessage]:
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
