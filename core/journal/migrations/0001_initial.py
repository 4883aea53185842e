import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import core.key_ranges

CREATE = """
CREATE SEQUENCE journal_change_id_seq;
CREATE TABLE journal_change (
    id bigint NOT NULL DEFAULT nextval('journal_change_id_seq'),
    at timestamptz NOT NULL,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant_id bigint,
    kind text NOT NULL CHECK (kind IN ('created', 'updated', 'deleted')),
    object text NOT NULL,
    key bigint NOT NULL,
    owner_key bigint,
    external_id text,
    legal_entity_id bigint,
    keys int8multirange,
    count integer NOT NULL DEFAULT 1,
    before jsonb,
    after jsonb,
    hidden text[],
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    actor_name text NOT NULL DEFAULT '',
    source_type text NOT NULL DEFAULT '',
    source_id text NOT NULL DEFAULT '',
    is_cascade boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (at);
CREATE TABLE journal_change_default PARTITION OF journal_change DEFAULT;
CREATE INDEX journal_of_tenant ON journal_change (tenant_id, id);
CREATE INDEX journal_of_object ON journal_change (tenant_id, object, key, id);
CREATE INDEX journal_of_actor ON journal_change (tenant_id, actor_id, id);
CREATE INDEX journal_of_source ON journal_change (source_type, source_id, id) WHERE source_type <> 'request';
CREATE INDEX journal_of_owner ON journal_change (owner_key, id) WHERE owner_key IS NOT NULL;
CREATE INDEX journal_of_member ON journal_change USING gist (int8range(key, key, '[]'), keys) WHERE keys IS NOT NULL;
CREATE INDEX journal_of_deleted ON journal_change (tenant_id, object, external_id) WHERE kind = 'deleted';
"""
DROP = "DROP TABLE journal_change; DROP SEQUENCE journal_change_id_seq;"

CHANGE = migrations.CreateModel(
    name="Change",
    fields=[
        ("id", models.BigAutoField(primary_key=True, serialize=False)),
        ("at", models.DateTimeField()),
        ("tx", models.BigIntegerField(help_text="The transaction, as PostgreSQL's xid8.")),
        (
            "kind",
            models.CharField(
                choices=[("created", "Created"), ("updated", "Changed"), ("deleted", "Deleted")], max_length=7
            ),
        ),
        ("object", models.CharField(max_length=40)),
        ("key", models.BigIntegerField()),
        ("owner_key", models.BigIntegerField(null=True)),
        ("external_id", models.TextField(null=True)),
        ("legal_entity_id", models.BigIntegerField(null=True)),
        ("keys", core.key_ranges.KeyRanges(null=True)),
        ("count", models.IntegerField(default=1)),
        ("before", models.JSONField(null=True)),
        ("after", models.JSONField(null=True)),
        (
            "hidden",
            django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), null=True, size=None),
        ),
        ("actor_type", models.CharField(max_length=10)),
        ("actor_id", models.TextField()),
        ("actor_name", models.TextField(default="")),
        ("source_type", models.TextField(default="")),
        ("source_id", models.TextField(default="")),
        ("is_cascade", models.BooleanField(default=False)),
        (
            "tenant",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
    ],
    options={"ordering": ("-id",), "default_permissions": ("view",)},
)


class Migration(migrations.Migration):
    """The tables of the journal. Its triggers are installed after every `migrate`."""

    initial = True

    dependencies = [("tenancy", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState([migrations.RunSQL(CREATE, DROP)], [CHANGE]),
        migrations.CreateModel(
            name="Beginning",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="journal_beginning_single")
                ],
            },
        ),
    ]
