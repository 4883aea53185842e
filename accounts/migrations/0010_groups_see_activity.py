"""Lets the groups of staff see the page Activity, which shows each only what they may see anyway."""

from typing import Any

from django.db import migrations

GROUPS = ("Merchandiser", "Catalogue manager", "Operator", "Auditor")


def show_activity(apps: Any, schema_editor: Any = None) -> None:
    """Give the permission. Django makes permissions after all migrations, so this one too."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="journal", model="change"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename="view_change", defaults={"name": "Can view change"}
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_staff_groups")]

    operations = [migrations.RunPython(show_activity, migrations.RunPython.noop, elidable=False)]
