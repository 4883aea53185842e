import django.contrib.postgres.operations
from django.db import migrations, models


class Migration(migrations.Migration):
    """Hand the table of revisions to `core.revisions`, and index the windows of each segment's items."""

    atomic = False  # for indexes that are built beside writes

    dependencies = [
        ("revisions", "0001_initial"),
        ("segments", "0008_window_boundaries"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("AssortmentRevision")]),
        django.contrib.postgres.operations.AddIndexConcurrently(
            model_name="itemassignment",
            index=models.Index(
                condition=models.Q(("valid_from__isnull", False)),
                fields=["segment", "valid_from"],
                name="segment_item_opens",
            ),
        ),
        django.contrib.postgres.operations.AddIndexConcurrently(
            model_name="itemassignment",
            index=models.Index(
                condition=models.Q(("valid_to__isnull", False)),
                fields=["segment", "valid_to"],
                name="segment_item_closes",
            ),
        ),
    ]
