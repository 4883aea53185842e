from importlib import import_module

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("events.background_tasks")
        import_module("events.journal")
        import_module("events.personal_data")
        import_module("events.readings")
        for name in ("segments", "catalog", "coupons", "imports", "rules", "erasure", "background"):
            import_module(f"events.feed.{name}")
