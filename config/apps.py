from django.apps import AppConfig
from django.core.checks import Tags, register
from django.core.signals import request_started
from django.db.backends.signals import connection_created

from config.checks import check_server_version
from config.connections import close_ended_connection, close_with_thread


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        register(check_server_version, Tags.database)
        request_started.connect(close_ended_connection)
        connection_created.connect(close_with_thread)
