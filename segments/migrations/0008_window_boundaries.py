from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Indexes for the next instants at which windows of segments open and close."""

    dependencies = [("segments", "0007_tallies")]

    operations = [
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(
                fields=["tenant", "valid_from"],
                condition=Q(valid_from__isnull=False),
                name="segment_window_opens",
            ),
        ),
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(
                fields=["tenant", "valid_to"], condition=Q(valid_to__isnull=False), name="segment_window_closes"
            ),
        ),
    ]
