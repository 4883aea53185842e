"""Codes are compared in NFC and without typographic quotes at their ends: stored ones have to be so too."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from coupons.eligibility_queries import normalise_code


def normalize_codes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Rewrite codes beyond ASCII; name those that would be another coupon's code, and leave them."""
    coupons = apps.get_model("coupons", "Coupon").objects.order_by("tenant", "code")
    for coupon in coupons.filter(code__regex="[^ -~]").select_related("tenant"):
        code = normalise_code(coupon.code, case_sensitive=True)
        if code == coupon.code:
            continue
        if not code or coupons.filter(tenant=coupon.tenant, code=code).exists():
            print(
                f"\n  The coupon {coupon.code!r} of {coupon.tenant.name} cannot be found by its code any more:"
                f" it would be {code!r}, which is another coupon's or empty. Replace it by a new coupon."
            )
            continue
        coupon.code = code
        coupon.save(update_fields=["code"])


class Migration(migrations.Migration):
    dependencies = [("coupons", "0001_initial")]

    operations = [migrations.RunPython(normalize_codes, migrations.RunPython.noop)]
