from django.db import migrations, models


class Migration(migrations.Migration):
    """Whether staff chose a customer's password. The constant default rewrites no row."""

    dependencies = [("accounts", "0006_erasures")]

    operations = [
        migrations.AddField(
            "customer",
            "has_initial_password",
            models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
