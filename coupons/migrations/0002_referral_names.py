from django.db import migrations
from django.db.models import F
from django.utils import timezone

NAMED_AFTER_CUSTOMER = "Referral coupon of "


def forget_customers(apps, schema_editor):
    """Take the customer's name out of the generated names; names that staff have given stay."""
    coupons = apps.get_model("coupons", "Coupon").objects
    coupons.filter(is_referral=True, name__startswith=NAMED_AFTER_CUSTOMER).update(
        name="Referral coupon", version=F("version") + 1, modified_at=timezone.now()
    )


class Migration(migrations.Migration):
    """Whoever is given a referral code can read the coupon's name, which said who the customer is."""

    dependencies = [("coupons", "0001_initial")]

    operations = [migrations.RunPython(forget_customers, migrations.RunPython.noop)]
