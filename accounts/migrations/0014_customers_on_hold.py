from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # customers are written while the index is built

    dependencies = [("accounts", "0013_merchandisers_make_campaigns")]

    operations = [
        AddIndexConcurrently(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("is_on_hold", True)), fields=["tenant", "id"], name="customers_on_hold"
            ),
        ),
    ]
