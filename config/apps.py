from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.module_loading import import_string

from config.checks import check_server_version, check_trusted_proxies
from config.connections import look_after_connections


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        register(check_server_version, Tags.database)
        register(check_trusted_proxies, Tags.security, deploy=True)
        # It needs the models, which are not loaded yet when this module is.
        published_logins = import_string("config.demo.checks.check_published_logins")
        register(published_logins, Tags.database, deploy=True)
        look_after_connections()
