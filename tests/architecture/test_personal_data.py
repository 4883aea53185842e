"""Every text and JSON column of the database says whether it holds personal data of a customer."""

import pytest
from django.db import connection

from core.personal_data.declarations import ERASE, KEEP, PSEUDONYM, declared_columns

TEXTS = """
SELECT columns.table_name, columns.column_name FROM information_schema.columns AS columns
JOIN pg_class AS relation ON relation.oid = format('%I', columns.table_name)::regclass
WHERE columns.table_schema = current_schema() AND NOT relation.relispartition
AND relation.relkind IN ('r', 'p') AND ltrim(columns.udt_name, '_')
IN ('text', 'varchar', 'bpchar', 'json', 'jsonb', 'bytea', 'xml', 'citext')
"""


@pytest.mark.django_db
def test_every_text_and_json_column_says_what_it_holds():
    with connection.cursor() as cursor:
        cursor.execute(TEXTS)
        columns = set(cursor.fetchall())
    assert len(columns) > 100
    declared = set(declared_columns())
    assert sorted(columns - declared) == []
    assert sorted(declared - columns) == []


def test_what_is_kept_has_a_reason():
    assert [column for column, holding in declared_columns().items() if holding.action == "keep"] != []
    for column, holding in declared_columns().items():
        assert bool(holding.reason) is (holding.action == "keep"), column
    with pytest.raises(ValueError, match="Say why"):
        KEEP("")


def test_the_columns_of_a_customer_are_erased_or_have_a_pseudonym():
    holdings = {
        column: holding
        for (table, column), holding in declared_columns().items()
        if table == "accounts_customer"
    }
    assert set(holdings.values()) <= {ERASE, PSEUDONYM}
