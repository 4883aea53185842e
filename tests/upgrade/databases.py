"""Databases beside the one of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from bench.dataset.building import create_database, drop_database

DUMP = Path(__file__).with_name("initial.sql")


@contextmanager
def fresh_database(name: str) -> Iterator[None]:
    """Connect to a new, empty database of this name; drop it afterwards."""
    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        create_database()
        yield
    finally:
        drop_database()
        connection.settings_dict["NAME"] = usual
