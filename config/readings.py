"""What /metrics tells of the database, the trees and this version."""

import platform
from collections.abc import Iterator
from datetime import datetime

import django

from config.command_line import VERSION
from config.health import occasionally_bent_trees
from core.observation.metrics import Reading, register_readings
from core.sql.composition import sql
from core.sql.fetching import fetch_rows

CONNECTIONS = """
SELECT coalesce(state, 'other'), count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' GROUP BY 1
"""
STATES = ("active", "idle", "idle in transaction", "idle in transaction (aborted)", "other")
SERVER = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       pg_database_size(current_database()),
       coalesce((SELECT max(extract(epoch FROM now() - xact_start)) FROM pg_stat_activity
                 WHERE datname = current_database() AND backend_type = 'client backend'), 0)
"""


def read_database(at: datetime) -> Iterator[Reading]:
    states = dict.fromkeys(STATES, 0.0)
    for state, count in fetch_rows(sql(CONNECTIONS)):
        states[state if state in states else "other"] += count
    [[most, size, oldest]] = fetch_rows(sql(SERVER))
    yield Reading(
        "database_connections",
        "Connections to the database, from all machines, by state.",
        {(state,): count for state, count in states.items()},
        ("state",),
    )
    yield Reading.single("database_connections_limit", "Connections that the server permits.", most)
    yield Reading.single("database_bytes", "Size of the database.", size)
    yield Reading.single(
        "database_oldest_transaction_seconds", "Age of the oldest transaction that is open.", float(oldest)
    )


def read_trees(at: datetime) -> Iterator[Reading]:
    yield Reading.single(
        "category_trees_unsound",
        "Tenants whose category tree has wrong columns (looked at once a minute); check_category_tree --fix.",
        len(occasionally_bent_trees()),
    )


def read_version(at: datetime) -> Iterator[Reading]:
    versions = (VERSION, platform.python_version(), django.get_version())
    yield Reading(
        "build_info", "Always 1; its labels are versions.", {versions: 1}, ("version", "python", "django")
    )


register_readings("version", read_version)
register_readings("database", read_database)
register_readings("category trees", read_trees)
