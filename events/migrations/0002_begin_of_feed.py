from django.db import migrations, models


class Migration(migrations.Migration):
    """Since when the feed of a tenant is kept."""

    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="feedposition",
            name="began_in",
            field=models.TextField(default=""),
        ),
        migrations.AddField(
            model_name="feedposition",
            name="began_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="feedposition",
            name="kept_from",
            field=models.BigIntegerField(default=0),
        ),
    ]
