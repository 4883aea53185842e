from django.apps import AppConfig
from django.core.checks import Tags, register

from config.checks import check_server_version
from config.connections import look_after_connections


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        register(check_server_version, Tags.database)
        look_after_connections()
