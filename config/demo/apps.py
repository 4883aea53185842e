from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.module_loading import import_string


class DemoConfig(AppConfig):
    name = "config.demo"
    label = "demo"

    def ready(self) -> None:
        # The check needs the models, which are not loaded yet when this module is.
        published_logins = import_string("config.demo.checks.check_published_logins")
        register(published_logins, Tags.database, deploy=True)
