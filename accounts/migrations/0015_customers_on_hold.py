from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # customers are written while the index is built

    dependencies = [("accounts", "0014_unseen_characters")]

    operations = [
        AddIndexConcurrently(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("is_on_hold", True)), fields=["tenant", "id"], name="customers_on_hold"
            ),
        ),
    ]
