from importlib import import_module

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("catalog.journal")
        import_module("catalog.personal_data")
        import_module("catalog.undo")
