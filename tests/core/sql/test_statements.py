import pytest
from django.db import connection, transaction
from django.db.utils import DataError

from core.sql.composition import Sql
from core.sql.fetching import fetch_rows

ONE = Sql("SELECT %s::integer", (1,))
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("prepared", [False, True])
def test_rows_are_fetched_and_counted_as_statements(prepared, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert fetch_rows(ONE, prepared=prepared) == [(1,)]


@pytest.mark.parametrize("prepared", [False, True])
def test_who_listens_to_statements_hears_of_it(prepared):
    heard = []

    def listen(execute, sql, params, many, context):
        heard.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        fetch_rows(ONE, prepared=prepared)
    assert heard == [ONE.sql]


@pytest.mark.parametrize("prepared", [False, True])
def test_the_errors_are_those_of_django(prepared):
    with pytest.raises(DataError), transaction.atomic():
        fetch_rows(Sql("SELECT 1 / %s::integer", (0,)), prepared=prepared)


@pytest.mark.parametrize("prepared", [False, True])
def test_nothing_is_sent_in_a_transaction_that_can_only_be_rolled_back(prepared):
    with transaction.atomic():
        connection.needs_rollback = True
        with pytest.raises(transaction.TransactionManagementError):
            fetch_rows(ONE, prepared=prepared)
