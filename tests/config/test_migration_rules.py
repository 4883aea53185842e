"""No migration rewrites a large table, or locks it for longer than an instant."""

import re
from typing import Any

import pytest
from django.contrib.postgres import operations as postgres
from django.db import connection, migrations, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from core.journal.declarations import recorded
from core.journal.triggers import is_marked

# Tables that have millions of rows in a large shop, by model.
LARGE = {
    "accounts.customer",
    "accounts.contactassignment",
    "catalog.categoryassignment",
    "catalog.product",
    "coupons.coupon",
    "coupons.redemption",
    "events.delivery",
    "events.event",
    "identity.refreshtoken",
    "identity.session",
    "segments.customerassignment",
    "segments.itemassignment",
}
MARKED = {one.model._meta.label_lower for one in recorded() if is_marked(one, "UPDATE")}
"""Models whose columns a trigger names, which PostgreSQL drops along with one of them (docs/history.md)."""
OWN_APPS = {
    "accounts",
    "background",
    "catalog",
    "core",
    "coupons",
    "events",
    "identity",
    "imports",
    "revisions",
    "segments",
    "tenancy",
}
LOCKING_SQL = re.compile(
    r"\b(ALTER\s+TABLE|CREATE\s+(UNIQUE\s+)?INDEX(?!\s+CONCURRENTLY)|CLUSTER|VACUUM\s+FULL)\b", re.I
)


def faults_of(app_label: str, operation: Any) -> list[str]:
    """Return what is wrong with an operation of a migration, each with the way to do it instead."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return [fault for part in operation.database_operations for fault in faults_of(app_label, part)]
    if isinstance(operation, migrations.RunSQL):
        return faults_of_sql(operation)
    name = getattr(operation, "model_name", "") or getattr(operation, "name", "")
    table = f"{app_label}.{name.lower()}"
    if table not in LARGE:
        return []
    match operation:
        case migrations.AlterField():
            return [f"{table}: a changed column may be rewritten; add a new column and fill it in batches"]
        case migrations.RemoveField() if table in MARKED:
            return [
                f"{table}: nothing of it is recorded until migrate ends; keep the column, or record it before"
            ]
        case migrations.AddField() if needs_rewrite(operation.field):
            return [f"{table}: add the column nullable or with a constant db_default"]
        case migrations.AddField() if operation.field.unique or operation.field.db_index:
            return [f"{table}: add the column without an index, then AddIndexConcurrently"]
        case postgres.AddIndexConcurrently() | postgres.RemoveIndexConcurrently():
            return []
        case migrations.AddIndex() | migrations.RemoveIndex():
            return [f"{table}: an index blocks writes while it is built; use the Concurrently operations"]
        case postgres.AddConstraintNotValid():
            return []
        case migrations.AddConstraint():
            return [f"{table}: use AddConstraintNotValid, and ValidateConstraint in the next migration"]
        case migrations.AlterUniqueTogether() | migrations.AlterIndexTogether():
            return [f"{table}: build a unique index concurrently"]
    return []


def keeps_its_type(migration: migrations.Migration) -> bool:
    """Whether the migration changes columns only in the catalogue of PostgreSQL, which takes no time."""
    loader = MigrationExecutor(connection).loader
    node = loader.graph.nodes[migration.app_label, migration.name]
    statements = " ".join(loader.collect_sql([(node, False)]))
    return not re.search(r"\b(TYPE|SET\s+NOT\s+NULL|ADD\s+CONSTRAINT)\b", statements)


def needs_rewrite(field: models.Field) -> bool:
    """Whether PostgreSQL writes each row anew for a new column; also where Django fills in a default."""
    if isinstance(field, models.GeneratedField):
        return field.db_persist
    if field.many_to_many or (field.null and not field.has_default()):
        return False
    return not (field.has_db_default() and isinstance(field.db_default, str | int | bool | float))


def faults_of_sql(operation: migrations.RunSQL) -> list[str]:
    statements = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
    faults = []
    for statement in statements:
        text = statement if isinstance(statement, str) else statement[0]
        tables = [name for name in LARGE if name.replace(".", "_") in text]
        if tables and LOCKING_SQL.search(text):
            faults.append(
                f"{', '.join(tables)}: this SQL locks or rewrites a large table: {text.strip()[:80]}"
            )
    return faults


def own_migrations() -> list[migrations.Migration]:
    loader = MigrationLoader(None)
    return [migration for (app, _), migration in loader.disk_migrations.items() if app in OWN_APPS]


def test_the_large_tables_exist():
    from_models = {model._meta.label_lower for model in all_models()}
    assert from_models >= LARGE


def all_models() -> list[type[models.Model]]:
    loader = MigrationLoader(None)
    return list(loader.project_state().apps.get_models())


@pytest.mark.django_db
def test_no_migration_rewrites_or_locks_a_large_table():
    later = [migration for migration in own_migrations() if not migration.initial]
    assert {
        f"{migration.app_label}.{migration.name}": faults
        for migration in later
        if (
            faults := [
                text
                for step in migration.operations
                if not (isinstance(step, migrations.AlterField) and keeps_its_type(migration))
                for text in faults_of(migration.app_label, step)
            ]
        )
    } == {}


def test_no_later_migration_calls_itself_the_first():
    assert [str(one) for one in own_migrations() if one.initial and not one.name.startswith("0001_")] == []


CHECK = models.CheckConstraint(condition=models.Q(pk__gt=0), name="positive")
INDEX = models.Index(fields=["id"], name="by_id")


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AlterField("Product", "code", models.TextField()),
        migrations.AddField("Product", "rank", models.IntegerField(default=0)),
        migrations.AddField("Product", "rank", models.IntegerField()),
        migrations.AddField("Product", "rank", models.IntegerField(null=True, db_index=True)),
        migrations.AddIndex("Product", INDEX),
        migrations.RemoveIndex("Product", "by_id"),
        migrations.AddConstraint("Product", CHECK),
        migrations.AlterUniqueTogether("Product", {("tenant", "code")}),
        migrations.RunSQL("ALTER TABLE catalog_product ALTER COLUMN code SET NOT NULL"),
        migrations.RunSQL(["CREATE INDEX fast ON catalog_product (code)"]),
        migrations.SeparateDatabaseAndState([migrations.AddIndex("Product", INDEX)]),
    ],
)
def test_what_locks_or_rewrites_is_refused(operation):
    assert len(faults_of("catalog", operation)) == 1


def test_a_column_that_a_trigger_names_stays():
    assert len(faults_of("coupons", migrations.RemoveField("Coupon", "code"))) == 1


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("Product", "rank", models.IntegerField(null=True)),
        migrations.AddField("Product", "rank", models.IntegerField(db_default=0)),
        migrations.RemoveField("Product", "code"),
        postgres.AddIndexConcurrently("Product", INDEX),
        postgres.RemoveIndexConcurrently("Product", "by_id"),
        postgres.AddConstraintNotValid("Product", CHECK),
        postgres.ValidateConstraint("Product", "positive"),
        migrations.RunSQL("CREATE INDEX CONCURRENTLY fast ON catalog_product (code)"),
        migrations.RunSQL("ALTER TABLE catalog_category ADD COLUMN rank integer"),
        migrations.AlterField("Category", "code", models.TextField()),
        migrations.SeparateDatabaseAndState([], [migrations.AddIndex("Product", INDEX)]),
    ],
)
def test_what_only_takes_an_instant_is_allowed(operation):
    assert faults_of("catalog", operation) == []
