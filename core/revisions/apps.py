from django.apps import AppConfig


class RevisionsConfig(AppConfig):
    name = "core.revisions"
    label = "revisions"
    default_auto_field = "django.db.models.BigAutoField"
