"""What the background worker does for the journal."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from core.background.tasks import registered_tasks
from core.journal.partitions import partitions

pytestmark = pytest.mark.django_db


def test_it_makes_the_months_that_are_missing():
    with connection.cursor() as cursor:
        months = partitions(cursor)[:-1]
        cursor.execute(f"DROP TABLE {months[-1]}")
        assert registered_tasks()["make journal partitions"].run(datetime.now(UTC)) is False
        assert partitions(cursor)[:-1] == months
