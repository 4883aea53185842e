from importlib import import_module

from django.apps import AppConfig


class BackgroundConfig(AppConfig):
    name = "core.background"
    label = "background"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register background tasks and personal data; the models are loaded by now."""
        import_module("core.background.background_tasks")
        import_module("core.background.personal_data")
        import_module("core.background.readings")
