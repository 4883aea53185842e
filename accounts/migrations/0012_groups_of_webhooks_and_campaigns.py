"""Lets the groups of staff work with webhooks, coupon campaigns and reservations, which came after them.

Webhooks are the operator's: they hold addresses and secrets, and deliveries show what was sent to whom.
"""

from typing import Any

from django.db import migrations

VIEW, ALL = ("view",), ("view", "add", "change", "delete")
CAMPAIGNS = {"coupons": ("couponcampaign", "reservation")}
DELIVERIES = {"events": ("delivery",)}
TARGETS = {"events": ("target", "subscription", "webhookconfig")}
GROUPS = {
    "Merchandiser": (
        (("view", "change"), {"coupons": ("couponcampaign",)}),
        (("view", "delete"), {"coupons": ("reservation",)}),
    ),
    "Catalogue manager": ((VIEW, CAMPAIGNS),),
    "Operator": ((VIEW, CAMPAIGNS), (ALL, TARGETS), (("view", "change"), DELIVERIES)),
    "Auditor": ((VIEW, CAMPAIGNS), (VIEW, TARGETS), (VIEW, DELIVERIES)),
}


def extend_groups(apps: Any, schema_editor: Any = None) -> None:
    """Give the permissions. Django makes permissions after all migrations, so those too."""
    content_types = apps.get_model("contenttypes", "ContentType").objects
    permissions, groups = apps.get_model("auth", "Permission").objects, apps.get_model("auth", "Group").objects
    for group in groups.filter(name__in=GROUPS):
        for actions, models_of_apps in GROUPS[group.name]:
            for app, models in models_of_apps.items():
                for model in models:
                    content_type, _ = content_types.get_or_create(app_label=app, model=model)
                    for action in actions:
                        permission, _ = permissions.get_or_create(
                            content_type=content_type,
                            codename=f"{action}_{model}",
                            defaults={"name": f"Can {action} {model}"},
                        )
                        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_customers_by_time")]

    operations = [migrations.RunPython(extend_groups, migrations.RunPython.noop, elidable=False)]
