from importlib import import_module

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "accounts.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Declare what the journal records, register the background tasks; the models are loaded by now."""
        import_module("accounts.identity.journal")
        import_module("accounts.identity.background_tasks")
