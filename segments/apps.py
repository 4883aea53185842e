from importlib import import_module

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    name = "segments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("segments.background_tasks")
        import_module("segments.catalog_extensions")
        import_module("segments.journal")
        import_module("segments.member_operations")
        import_module("segments.personal_data")
        import_module("segments.rules.findings")
        import_module("segments.rules.readings")
        import_module("segments.undo")
