"""Nothing that is secret enters the journal."""

import pytest
from django.db import connection, models

from accounts.identity.models import LegacyPassword
from accounts.models import Customer
from core.journal.declarations import recorded
from core.journal.models import Change
from core.tenancy.models import Tenant
from tests.factories.shops import MINE, Shop

MARKER = "m4rk3r"


@pytest.mark.django_db
def test_no_secret_enters_the_journal():
    """Every secret column of every row is written with a marker: created, changed, and deleted."""
    shop = Shop(MINE)
    shop.make()
    LegacyPassword.objects.create(
        tenant=shop.rows[Tenant], customer=shop.rows[Customer], algorithm="phpass", hash="x", context={"a": 1}
    )
    marked = set()
    with connection.cursor() as cursor:
        for one in recorded():
            for name in one.secret:
                field = next(field for field in one.model._meta.concrete_fields if field.column == name)
                value = f'{{"salt": "{MARKER}"}}' if isinstance(field, models.JSONField) else MARKER
                cursor.execute(f"UPDATE {one.table} SET {name} = %s", [value])
                marked |= {(one.object, name)} if cursor.rowcount else set()
        for one in recorded():
            if one.secret:  # a copy, as created, and both deleted
                cursor.execute(f"CREATE TEMPORARY TABLE copied AS SELECT * FROM {one.table}")
                cursor.execute(f"DELETE FROM {one.table}")
                cursor.execute(f"INSERT INTO {one.table} SELECT * FROM copied")
                cursor.execute("DROP TABLE copied")
        cursor.execute(
            "SELECT count(*) FROM journal_change AS change WHERE change::text LIKE %s", [f"%{MARKER}%"]
        )
        assert cursor.fetchone() == (0,)
    assert marked == {(one.object, name) for one in recorded() for name in one.secret}
    for kind in ("created", "updated", "deleted"):
        hidden = Change.objects.filter(kind=kind, hidden__isnull=False).values_list("object", "hidden")
        assert {(name, column) for name, columns in hidden for column in columns} == marked
