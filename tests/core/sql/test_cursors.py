from datetime import UTC, datetime

import pytest
from django.db import DataError, connection, transaction

from core.sql.composition import Sql
from core.sql.fetching import MOST_CURSORS, MOST_ROWS, CursorsOfThread, cursors, fetch_rows

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ECHO = "SELECT %s::text, %s::bigint[], %s::timestamptz, %s::numeric"


@pytest.fixture
def own(db: None) -> CursorsOfThread:
    connection.ensure_connection()
    return CursorsOfThread()


def test_a_statement_is_run_by_the_same_cursor_again(own):
    first = own.cursor_for(connection.connection, "SELECT 1")

    cursor, text = own.cursor_for(connection.connection, "".join(["SELECT", " 1"]))

    assert cursor is first[0]
    assert text is first[1]  # psycopg asks whether it is the same object


def test_only_so_many_cursors_are_kept_and_the_newest(own):
    texts = [f"SELECT {number}" for number in range(MOST_CURSORS + 1)]

    for text in texts:
        own.cursor_for(connection.connection, text)

    assert list(own.by_text) == texts[1:]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "rows",
    [
        [("a", [1], NEW_YEAR, 1), ("b", [], None, None), (None, [None, 2**40], None, 2)],
        [(None, None, None, None), ("é", [2**40], NEW_YEAR, 2**40), ("", [1], None, 3)],
    ],
)
def test_values_of_all_kinds_may_follow_each_other(rows):
    for values in rows:
        assert fetch_rows(Sql(ECHO, values), prepared=True) == [values]


@pytest.mark.django_db
def test_percent_signs_are_literal_when_doubled():
    text = "SELECT %s::text LIKE '50%%', '%%s', %s::integer %% 3"

    assert fetch_rows(Sql(text, ("50 or more", 7)), prepared=True) == [(True, "%s", 1)]


@pytest.mark.django_db
def test_a_statement_can_be_sent_after_it_failed():
    text = "SELECT 10 / %s::integer"
    assert fetch_rows(Sql(text, (5,)), prepared=True) == [(2,)]

    with pytest.raises(DataError), transaction.atomic():
        fetch_rows(Sql(text, (0,)), prepared=True)

    assert fetch_rows(Sql(text, (2,)), prepared=True) == [(5,)]


@pytest.mark.django_db
def test_many_rows_are_not_held_on_to():
    text = "SELECT generate_series(1, %s::integer)"
    assert len(fetch_rows(Sql(text, (MOST_ROWS,)), prepared=True)) == MOST_ROWS
    assert text in cursors.by_text

    assert len(fetch_rows(Sql(text, (MOST_ROWS + 1,)), prepared=True)) == MOST_ROWS + 1

    assert text not in cursors.by_text


@pytest.mark.django_db(transaction=True)
def test_a_new_connection_gets_new_cursors():
    text = "SELECT %s::integer"
    fetch_rows(Sql(text, (1,)), prepared=True)
    connection.close()

    assert fetch_rows(Sql(text, (2,)), prepared=True) == [(2,)]
    assert list(cursors.by_text) == [text]
