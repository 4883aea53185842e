"""Makes the database of a data set, or finds that it is there already."""

import sys

from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from bench.dataset.catalog import write_catalog
from bench.dataset.coupons import write_coupons
from bench.dataset.people import write_people
from bench.dataset.rows import continue_numbering, indexes_built_afterwards
from bench.dataset.segments import write_segments
from bench.restoring import keep_last_keys
from bench.scales import Scale
from core.json_types import JsonObject


def ensure_dataset(scale: Scale, *, rebuild: bool = False) -> None:
    """Leave the connection's database holding the data set: migrated, filled, its statistics fresh.

    A database with the same parameters and migrations is used as it is; any other of its name is replaced.
    """
    wanted = {**scale.parameters, "migrations": migration_names()}
    if not rebuild and is_there(wanted):
        return
    create_database()
    call_command("migrate", interactive=False, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '512MB'")
    write_dataset(scale)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        keep_last_keys()
        cursor.execute("CREATE TABLE bench_dataset (parameters jsonb NOT NULL)")
        cursor.execute("INSERT INTO bench_dataset VALUES (%s)", [Jsonb(wanted)])
    connection.close()


@transaction.atomic
def write_dataset(scale: Scale) -> None:
    """Write the rows of the data set into the connection's database, which holds none."""
    with indexes_built_afterwards():
        for title, write in (
            ("people", write_people),
            ("catalogue", write_catalog),
            ("segments", write_segments),
            ("coupons", write_coupons),
        ):
            print(f"  writing {title} ...", file=sys.stderr, flush=True)
            write(scale)
        continue_numbering()
        print("  building indexes ...", file=sys.stderr, flush=True)


def migration_names() -> list[str]:
    loader = MigrationLoader(None)
    return sorted(f"{app}.{name}" for app, name in loader.graph.leaf_nodes())


def is_there(wanted: JsonObject) -> bool:
    """Say whether the database holds the whole data set of these parameters."""
    if not database_exists():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('bench_dataset') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return False
        cursor.execute("SELECT parameters = %s FROM bench_dataset", [Jsonb(wanted)])
        return cursor.fetchall() == [(True,)]


def database_exists() -> bool:
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", [connection.settings_dict["NAME"]]
        )
        return cursor.fetchone() == (True,)


def create_database() -> None:
    """Make the database empty, whatever it held."""
    drop_database()
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(connection.settings_dict["NAME"])))


def drop_database() -> None:
    """Remove the data set with its database."""
    connection.close()
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        name = Identifier(connection.settings_dict["NAME"])
        cursor.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
