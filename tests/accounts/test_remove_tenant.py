"""A tenant that is removed leaves nothing behind, and takes nothing of another."""

from io import StringIO

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import User
from core.imports.models import ImportChange
from core.tenancy.models import Tenant
from core.tenancy.removal import tenant_tables
from tests.factories.accounts import LegalEntityFactory, UserFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.shops import MINE, THEIRS, Shop

pytestmark = pytest.mark.django_db


def make_shop(mark: str) -> Shop:
    shop = Shop(mark)
    shop.make()
    tenant = shop.tenant
    parent = LegalEntityFactory(tenant=tenant, external_id=f"{mark}-parent")
    LegalEntityFactory(tenant=tenant, external_id=f"{mark}-child", parent=parent)
    outer = CategoryFactory(tenant=tenant, external_id=f"{mark}-outer")
    CategoryFactory(tenant=tenant, external_id=f"{mark}-inner", parent=outer)
    operator = User.objects.filter(username="operator").first() or UserFactory(
        username="operator", tenant=None, is_superuser=True
    )
    for user in (operator, UserFactory(username=f"{mark}-staff", tenant=tenant)):
        LogEntry.objects.create(
            user=user,
            content_type=get_content_type_for_model(parent),
            object_id=str(parent.pk),
            object_repr=mark,
            action_flag=CHANGE,
        )
    return shop


def rows_by_table(mark: str) -> dict[str, int]:
    """Return the numbers of rows that have the mark anywhere, by table; rows of the platform are left out."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            of_platform = " AND tenant_id IS NOT NULL" if table == "journal_change" else ""
            cursor.execute(
                f"SELECT count(*) FROM {table} AS t WHERE t::text ILIKE %s{of_platform}", [f"%{mark}%"]
            )
            [count] = cursor.fetchone()
            if count and table not in ("identity_signingkey", "identity_attemptcounter", "auth_group"):
                found[table] = count
    return found


def run(*words: str) -> str:
    out = StringIO()
    call_command("remove_tenant", *words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("batch_size", ["1", "10000"])
def test_nothing_is_left_and_nothing_else_is_touched(batch_size):
    mine = make_shop(MINE)
    make_shop(THEIRS)
    kept = rows_by_table(THEIRS)
    tenant_id = mine.tenant.pk
    text = run(mine.tenant.name, "--yes", "--batch-size", batch_size)
    assert f"Removed the tenant {mine.tenant.name}: " in text
    assert rows_by_table(MINE) == {}
    assert rows_by_table(THEIRS) == kept
    with connection.cursor() as cursor:
        for model, condition in tenant_tables():
            cursor.execute(
                f"SELECT count(*) FROM {model._meta.db_table} WHERE {condition.format(tenant=tenant_id)}"
            )
            assert cursor.fetchone() == (0,), model


def test_every_table_belongs_to_tenants_or_to_the_platform():
    of_tenants = {model for model, _ in tenant_tables()}
    others = {model._meta.label for model in apps.get_models(include_auto_created=True)} - {
        model._meta.label for model in of_tenants
    }
    assert others == {
        "auth.Group",
        "auth.Group_permissions",
        "auth.Permission",
        "background.TaskState",
        "background.Worker",
        "contenttypes.ContentType",
        "identity.AttemptCounter",
        "identity.SigningKey",
        "journal.Beginning",
        "sessions.Session",
        "tenancy.Tenant",
    }
    assert ImportChange in of_tenants


def test_it_asks_first(tenant: Tenant, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("builtins.input", lambda question: "no")
    with pytest.raises(CommandError, match="Nothing was removed"):
        run("acme")
    assert Tenant.objects.get().is_active
    monkeypatch.setattr("builtins.input", lambda question: "acme")
    run("acme")
    assert not Tenant.objects.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nobody", "--yes"], "There is no tenant nobody"), (["acme", "--yes", "--batch-size", "0"], "from 1")],
)
def test_faulty_orders_are_refused(tenant, words, message):
    with pytest.raises(CommandError, match=message):
        run(*words)
    assert Tenant.objects.get().is_active
