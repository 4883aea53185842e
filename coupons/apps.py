from importlib import import_module

from django.apps import AppConfig


class CouponsConfig(AppConfig):
    name = "coupons"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries of the packages below; the models are loaded by now."""
        import_module("coupons.background_tasks")
        import_module("coupons.calendar")
        import_module("coupons.customer_view")
        import_module("coupons.effects")
        import_module("coupons.explanations")
        import_module("coupons.facts")
        import_module("coupons.findings")
        import_module("coupons.journal")
        import_module("coupons.personal_data")
        import_module("coupons.undo")
