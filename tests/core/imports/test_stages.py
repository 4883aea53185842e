"""Temporary tables that rows are copied into."""

import pytest
from django.db import DataError, connection, transaction

from core.imports.merge import stage_rows


@pytest.mark.django_db
def test_what_postgresql_says_about_copied_rows_is_an_error_of_django() -> None:
    refusal = pytest.raises(DataError, match="invalid input syntax for type integer")
    with refusal, transaction.atomic(), connection.cursor() as cursor:
        stage_rows(cursor, "numbers", {"number": "integer"}, [["one"]])
