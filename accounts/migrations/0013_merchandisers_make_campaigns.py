"""Lets merchandisers make coupon campaigns, which the admin could not before."""

from typing import Any

from django.db import migrations


def grant(apps: Any, schema_editor: Any = None) -> None:
    """Grant the permission, which Django makes after all migrations, so that too."""
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="coupons", model="couponcampaign"
    )
    permission, _ = permission_model.objects.get_or_create(
        content_type=content_type,
        codename="add_couponcampaign",
        defaults={"name": "Can add coupon campaign"},
    )
    for group in group_model.objects.filter(name="Merchandiser"):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_groups_of_webhooks_and_campaigns")]

    operations = [migrations.RunPython(grant, migrations.RunPython.noop, elidable=False)]
