from importlib import import_module

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.module_loading import import_string


class IdentityConfig(AppConfig):
    name = "accounts.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("accounts.identity.journal")
        import_module("accounts.identity.background_tasks")
        import_module("accounts.identity.personal_data")
        register(import_string("accounts.identity.checks.check_signing_key"), Tags.database, deploy=True)
