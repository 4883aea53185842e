from importlib import import_module

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    name = "segments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add to the catalogue what it shows of segments, and declare what the journal records."""
        import_module("segments.catalog_extensions")
        import_module("segments.journal")
