from importlib import import_module

from django.apps import AppConfig


class ImportsConfig(AppConfig):
    name = "core.imports"
    label = "imports"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register background tasks, the journal and personal data; the models are loaded by now."""
        import_module("core.imports.background_tasks")
        import_module("core.imports.journal")
        import_module("core.imports.personal_data")
        import_module("core.imports.readings")
        import_module("core.imports.undo")
