from importlib import import_module

from django.apps import AppConfig


class TotpConfig(AppConfig):
    name = "accounts.totp"
    label = "staff_totp"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("accounts.totp.journal")
        import_module("accounts.totp.personal_data")
