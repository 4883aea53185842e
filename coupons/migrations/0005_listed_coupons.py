import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("coupons", "0004_cart_settings")]

    operations = [
        migrations.AddField(
            model_name="coupon",
            name="is_listed",
            field=models.BooleanField(blank=True, null=True, verbose_name="listed for customers"),
        ),
        AddIndexConcurrently(
            model_name="coupon",
            index=models.Index(
                condition=models.Q(("is_listed", True)), fields=["tenant", "id"], name="coupons_listed_for_all"
            ),
        ),
        AddIndexConcurrently(
            model_name="coupon",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("valid_for", []), _negated=True),
                fields=["valid_for"],
                name="coupons_by_customer",
            ),
        ),
    ]
