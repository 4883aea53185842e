from importlib import import_module

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("accounts.journal")
        import_module("accounts.logouts")
        import_module("accounts.personal_data")
        import_module("accounts.time_zones")
        import_module("accounts.undo")
