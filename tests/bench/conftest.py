from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from bench.dataset import ensure_dataset
from bench.dataset.building import drop_database
from bench.scales import SCALES, Scale

SMALL = SCALES["small"]


@contextmanager
def database(name: str) -> Iterator[None]:
    """Let the connection be one to another database."""
    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual


@pytest.fixture(scope="session")
def small_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The name of a database that holds the small data set while the tests run."""
    name = f"{connection.settings_dict['NAME']}_data"
    with django_db_blocker.unblock():
        with database(name):
            ensure_dataset(SMALL)
        yield name
        with database(name):
            drop_database()


@pytest.fixture(scope="module")
def small(small_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Scale]:
    """The small data set, as the database that the module's tests see."""
    with django_db_blocker.unblock(), database(small_database):
        yield SMALL


@pytest.fixture(autouse=True)
def bench_time(real_time: None) -> None:
    """The benchmark makes its tokens by the clock of the machine, before a test begins."""
