from importlib import import_module

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "accounts.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("accounts.identity.journal")
        import_module("accounts.identity.background_tasks")
        import_module("accounts.identity.personal_data")
