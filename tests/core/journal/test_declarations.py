"""Every model says whether and how the journal records it."""

import re

import pytest
from django.apps import apps
from django.db import connection, models

from core.journal.declarations import RecordedDocument, all_columns, reasons_of_unrecorded, recorded
from core.journal.installation import install_triggers, is_migrated, remove_triggers
from core.journal.models import Change
from tests.factories.accounts import SiteFactory

SECRET = re.compile(r"password|hash|digest|secret|token|private")
NOT_SECRET = {"tokens_not_before"}  # an instant


def tables() -> dict[str, str]:
    """Return the labels of all models, those of many-to-many tables included, by table."""
    known = apps.get_models(include_auto_created=True)
    return {model._meta.db_table: model._meta.label for model in known if model._meta.managed}


def test_every_model_is_recorded_or_says_why_not():
    known = {one.table for one in recorded()}
    left_out = {label for table, label in tables().items() if table not in known}
    assert left_out == {label for label in reasons_of_unrecorded() if label in tables().values()}


def test_every_secret_column_is_declared():
    """By name: a column that sounds like a secret is declared as one, or is named here as none."""
    texts = (models.CharField, models.TextField, models.JSONField)
    suspicious = {
        (one.table, field.column)
        for one in recorded()
        for field in one.model._meta.concrete_fields
        if isinstance(field, texts) and SECRET.search(field.column) and field.column not in NOT_SECRET
    }
    declared = {(one.table, name) for one in recorded() for name in one.secret}
    assert suspicious - declared == set()
    assert declared - suspicious == {("identity_legacypassword", "context"), ("events_target", "headers")}


def test_declared_columns_exist():
    assert [
        (one.table, name)
        for one in recorded()
        for name in (*one.secret, *one.derived)
        if name not in all_columns(one.model)
    ] == []


def test_only_what_comes_to_recent_changes_is_copied_later():
    """What is written to its month at once would never be copied."""
    later = [one for one in recorded() if isinstance(one, RecordedDocument) and one.is_copied_later]
    assert [one.object for one in later if not one.is_appended] == []
    assert [one.object for one in later] == ["redemption"]


@pytest.mark.django_db
def test_triggers_can_be_removed_and_installed_again():
    assert is_migrated()
    remove_triggers(recorded())
    SiteFactory()
    assert Change.objects.count() == 0
    install_triggers(recorded())
    SiteFactory()
    assert Change.objects.filter(object="site").count() == 1


@pytest.mark.django_db
def test_installing_again_changes_nothing(django_assert_num_queries):
    with django_assert_num_queries(2 + 2 * len(list(recorded()))):  # each table has its own savepoint
        install_triggers(recorded())


@pytest.mark.django_db
def test_a_function_that_is_out_of_date_is_renewed():
    with connection.cursor() as cursor:
        cursor.execute("COMMENT ON FUNCTION journal_accounts_site_insert() IS 'old'")
        install_triggers(recorded())
        cursor.execute("SELECT obj_description('journal_accounts_site_insert'::regproc, 'pg_proc') = 'old'")
        assert cursor.fetchone() == (False,)


@pytest.mark.django_db
def test_every_trigger_runs():
    """Statements of no rows fire them, too."""
    before = Change.objects.count()
    with connection.cursor() as cursor:
        for one in recorded():
            cursor.execute(f"INSERT INTO {one.table} SELECT * FROM {one.table} WHERE false")
            cursor.execute(f"UPDATE {one.table} SET {one.primary_key} = {one.primary_key}")
            cursor.execute(f"DELETE FROM {one.table} WHERE false")
    assert Change.objects.count() == before
