import django.contrib.postgres.operations
from django.db import migrations, models


class Migration(migrations.Migration):
    """Index the windows of each segment's members, of which most have none."""

    atomic = False  # for indexes that are built beside writes

    dependencies = [("segments", "0012_names_of_rules")]

    operations = [
        django.contrib.postgres.operations.AddIndexConcurrently(
            model_name="customerassignment",
            index=models.Index(
                condition=models.Q(("valid_from__isnull", False)),
                fields=["segment", "valid_from"],
                name="segment_member_opens",
            ),
        ),
        django.contrib.postgres.operations.AddIndexConcurrently(
            model_name="customerassignment",
            index=models.Index(
                condition=models.Q(("valid_to__isnull", False)),
                fields=["segment", "valid_to"],
                name="segment_member_closes",
            ),
        ),
    ]
