from django.db import migrations, models


class Migration(migrations.Migration):
    """When staff last ended a session themselves, so that the history has it."""

    dependencies = [("accounts", "0015_unseen_characters")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="last_logout",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last logout"),
        ),
    ]
