from django.db import migrations, models


class Migration(migrations.Migration):
    """Tell mixins that were sent empty from mixins that were not sent. It changes no row."""

    dependencies = [("segments", "0002_assortment_revision")]

    operations = [
        migrations.AlterField(model, "mixins", models.JSONField(blank=True, null=True))
        for model in ("segment", "customerassignment", "itemassignment")
    ]
