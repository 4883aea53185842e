from importlib import import_module

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    name = "segments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add to the catalogue what it shows of segments; the models are loaded by now."""
        import_module("segments.catalog_extensions")
