from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("coupons", "0006_campaigns")]

    operations = [
        AddIndexConcurrently(
            model_name="redemption",
            index=models.Index(
                fields=["tenant", "redeemed_at"],
                include=["coupon", "discount_currency", "discount_amount"],
                name="redemptions_by_time",
            ),
        ),
        AddIndexConcurrently(
            model_name="coupon",
            index=models.Index(fields=["tenant", "created_at"], name="coupons_by_time"),
        ),
    ]
