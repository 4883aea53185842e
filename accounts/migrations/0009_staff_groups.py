"""Makes the groups of staff. What an operator changes in them later stays."""

from typing import Any

from django.db import migrations

VIEW, ALL = ("view",), ("view", "add", "change", "delete")
ASSORTMENT = {
    "catalog": ("category", "product", "categoryassignment", "categorynumber"),
    "segments": ("segment", "customerassignment", "itemassignment"),
    "coupons": ("coupon", "couponsegment", "couponcategory", "redemption", "couponsettings"),
    "accounts": ("customer", "legalentity", "contactassignment", "site"),
    "imports": ("importrun", "importreject"),
    "background": ("job",),
}
PLATFORM = {
    "accounts": ("erasure", "user"),
    "identity": ("apiclient", "clientsecret", "session", "refreshtoken"),
    "tenancy": ("tenant",),
}
CURATED = {
    "segments": ("segment", "customerassignment", "itemassignment"),
    "coupons": ("coupon", "couponsegment", "couponcategory"),
}
CATALOGUE = {"catalog": ("category", "product", "categoryassignment", "categorynumber")}
OPERATED = {
    "accounts": ("customer", "legalentity", "contactassignment", "site", "user"),
    "identity": ("apiclient", "clientsecret", "session", "refreshtoken"),
    "coupons": ("couponsettings",),
    "tenancy": ("tenant",),
}
GROUPS = {
    "Merchandiser": ((VIEW, ASSORTMENT), (ALL, CURATED)),
    "Catalogue manager": ((VIEW, ASSORTMENT), (ALL, CATALOGUE)),
    "Operator": ((VIEW, ASSORTMENT), (VIEW, PLATFORM), (ALL, OPERATED)),
    "Auditor": ((VIEW, ASSORTMENT), (VIEW, PLATFORM)),
}


def make_groups(apps: Any, schema_editor: Any = None) -> None:
    """Make the groups that are missing. Django makes permissions after all migrations, so those too."""
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    content_type_model = apps.get_model("contenttypes", "ContentType")
    for name, rights in GROUPS.items():
        group, is_new = group_model.objects.get_or_create(name=name)
        if not is_new:
            continue
        for actions, models_of_apps in rights:
            for app, models in models_of_apps.items():
                for model in models:
                    content_type, _ = content_type_model.objects.get_or_create(app_label=app, model=model)
                    for action in actions:
                        permission, _ = permission_model.objects.get_or_create(
                            content_type=content_type,
                            codename=f"{action}_{model}",
                            defaults={"name": f"Can {action} {model}"},
                        )
                        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_mixins_sent_empty"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop, elidable=False)]
