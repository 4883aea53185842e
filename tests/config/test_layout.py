"""A database of before the migrations were made anew is refused, and can be emptied."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from config.checks import FORMER_LAYOUT, FORMER_MIGRATION, check_layout, has_former_layout


@pytest.mark.django_db
def test_a_database_of_the_former_layout_is_refused_with_what_to_do():
    assert check_layout(databases=["default"]) == []
    MigrationRecorder(connection).record_applied(*FORMER_MIGRATION)
    [error] = check_layout(databases=["default"])
    assert (error.msg, error.id) == (FORMER_LAYOUT, "config.E003")
    assert "`make reset`" in error.hint
    assert has_former_layout(connection)


@pytest.mark.django_db
def test_nothing_is_removed_unless_the_name_is_typed(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    with pytest.raises(CommandError, match="Nothing was removed"):
        call_command("reset_database", stdout=StringIO())
    assert "tenancy_tenant" in connection.introspection.table_names()


@pytest.mark.django_db
def test_everything_is_removed_once_the_name_is_typed(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: connection.settings_dict["NAME"])
    answer = StringIO()
    call_command("reset_database", stdout=answer)
    assert connection.introspection.table_names() == []
    assert answer.getvalue().startswith("Removed everything from the database test_segments")
