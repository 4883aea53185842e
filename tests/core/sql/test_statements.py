import pytest
from django.db import connection, transaction
from django.db.utils import DataError

from core.sql.composition import Sql, slots, sql
from core.sql.fetching import Statement, fetch_rows, rewriting

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


BETWEEN = Statement(
    sql(
        "SELECT name FROM ({names}) AS given (name) WHERE name BETWEEN {least} AND {least} || {end}",
        names=slots("SELECT unnest({names:text[]})"),
        least=slots("{least:text}"),
        end=slots("{end:text}"),
    )
)


def test_a_statement_is_run_with_its_values_by_name(django_assert_num_queries):
    with django_assert_num_queries(2):
        assert BETWEEN.rows(end="z", least="b", names=["a", "b", "ba", "c"]) == [("b",), ("ba",)]
        assert BETWEEN.rows(names=["100% {sure}"], least="1", end="9") == [("100% {sure}",)]


def test_a_statement_takes_a_value_for_each_slot_and_leaves_out_others(django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(TypeError, match="nothing is given for: 'end'"):
        BETWEEN.rows(names=[], least="")
    assert BETWEEN.rows(names=["b"], least="b", end="z", most=1) == [("b",)]


def test_a_statement_holds_no_value():
    with pytest.raises(TypeError, match="slots"):
        Statement(ONE)


@pytest.mark.parametrize("rewrites", [False, True])
def test_a_statement_is_rewritten_as_any_other(rewrites):
    def rewrite(statement):
        return sql("SELECT upper(name) FROM ({statement}) AS found", statement=statement)

    with rewriting(rewrite if rewrites else None):
        found = BETWEEN.rows(names=["b"], least="b", end="z")
    assert found == [("B" if rewrites else "b",)]
