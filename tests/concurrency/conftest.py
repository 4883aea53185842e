from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection


@pytest.fixture
def holder(transactional_db: None) -> Iterator[psycopg.Connection]:
    """Another session of the same database, whose transaction keeps its locks until the test ends it."""
    with psycopg.connect(**connection.get_connection_params()) as session:
        yield session
        session.rollback()


@pytest.fixture
def impatient(transactional_db: None) -> Iterator[None]:
    """Let this thread's connection wait for locks a twentieth of a second, not three."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    yield
    connection.close()
