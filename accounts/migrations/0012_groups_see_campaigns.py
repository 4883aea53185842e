"""Lets all groups of staff see coupon campaigns, and merchandisers make and deactivate them."""

from typing import Any

from django.db import migrations

RIGHTS = {
    "Merchandiser": ("view", "add", "change"),
    "Catalogue manager": ("view",),
    "Operator": ("view",),
    "Auditor": ("view",),
}


def grant(apps: Any, schema_editor: Any = None) -> None:
    """Grant the permissions, which Django makes after all migrations, so those too."""
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="coupons", model="couponcampaign"
    )
    for name, actions in RIGHTS.items():
        for group in group_model.objects.filter(name=name):
            for action in actions:
                permission, _ = permission_model.objects.get_or_create(
                    content_type=content_type,
                    codename=f"{action}_couponcampaign",
                    defaults={"name": f"Can {action} coupon campaign"},
                )
                group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_customers_by_time")]

    operations = [migrations.RunPython(grant, migrations.RunPython.noop, elidable=False)]
