"""The databases of the test processes: copies of one that is migrated once for each state of the code."""

import hashlib
import os
from pathlib import Path

import django
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper

PROJECT = Path(__file__).parents[1]
PACKAGES = ("core", "accounts", "catalog", "segments", "coupons", "events", "config")
PREFIX = "template_of_"
DROP = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
LOCK = 7_215_343  # of the whole server: other processes wait while one makes the template, or copies it


def make_database(*, anew: bool) -> str:
    """Let the connection be one to a migrated database of this process; return the name of the usual one.

    `anew` makes the template again, whether or not the code has changed since.
    """
    usual = connection.settings_dict["NAME"]
    name = connection.creation._get_test_db_name()
    _copy_template(name, _family(usual), _state_of_code(), anew=anew)
    _use(name)
    return usual


def drop_database(usual: str) -> None:
    """Drop the database of this process, whoever still looks at it, and connect to the usual one again."""
    name = connection.settings_dict["NAME"]
    _use(usual)
    with connection._nodb_cursor() as cursor:
        cursor.execute(DROP.format(_quoted(name)))


def _family(usual: str) -> str:
    """Return what the names of templates begin with that hold the tables of these apps."""
    suffix = os.environ.get("TEST_DATABASE_SUFFIX", "")
    return (
        f"{PREFIX}{usual}{suffix}_{hashlib.sha256(repr(settings.INSTALLED_APPS).encode()).hexdigest()[:8]}_"
    )


def _state_of_code() -> str:
    """Return a digest of all that decides what a migrated database holds."""
    digest = hashlib.sha256(django.__version__.encode())
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            digest.update(str(path.relative_to(PROJECT)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _copy_template(name: str, family: str, state: str, *, anew: bool) -> None:
    template = family + state
    with connection._nodb_cursor() as cursor:
        cursor.execute("SET lock_timeout = 0; SET statement_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])  # until the session ends
        if anew or not _found(cursor, template):
            for former in _found(cursor, f"{family}%"):
                cursor.execute(DROP.format(_quoted(former)))
            _migrate(name)
            cursor.execute(f"ALTER DATABASE {_quoted(name)} RENAME TO {_quoted(template)}")
            # whoever looks at it, or cleans it, would be in the way of the copies
            cursor.execute(f"ALTER DATABASE {_quoted(template)} ALLOW_CONNECTIONS false")
        cursor.execute(DROP.format(_quoted(name)))
        cursor.execute(f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(template)}")


def _migrate(name: str) -> None:
    """Make the database as Django does it for tests; it is left without a connection."""
    usual = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    _use(usual)


def _use(name: str) -> None:
    connection.close()
    settings.DATABASES[connection.alias]["NAME"] = connection.settings_dict["NAME"] = name


def _found(cursor: CursorWrapper, pattern: str) -> list[str]:
    cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [pattern.replace("_", r"\_")])
    return [name for (name,) in cursor.fetchall()]


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
