from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("accounts", "0010_groups_see_activity")]

    operations = [
        AddIndexConcurrently(
            model_name="customer",
            index=models.Index(fields=["tenant", "created_at"], name="customers_by_creation"),
        ),
        AddIndexConcurrently(
            model_name="customer",
            index=models.Index(
                fields=["tenant", "last_login_at"],
                condition=models.Q(("last_login_at__isnull", False)),
                name="customers_by_login",
            ),
        ),
    ]
