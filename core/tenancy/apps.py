from importlib import import_module

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "core.tenancy"
    label = "tenancy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what is personal data; the models are loaded by now."""
        import_module("core.tenancy.personal_data")
