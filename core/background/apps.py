from importlib import import_module

from django.apps import AppConfig


class BackgroundConfig(AppConfig):
    name = "core.background"
    label = "background"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the clean-up of this package; the models are loaded by now."""
        import_module("core.background.background_tasks")
