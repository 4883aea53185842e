import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """How far the journal has been read for purging a cache."""

    dependencies = [("events", "0002_begin_of_feed"), ("tenancy", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="PurgePosition",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="tenancy.tenant",
                    ),
                ),
                ("tx", models.BigIntegerField(default=0)),
                ("journal_id", models.BigIntegerField(default=0)),
                ("began_in", models.TextField(default="")),
                ("read_at", models.DateTimeField(null=True)),
            ],
            options={"default_permissions": ()},
        ),
    ]
