from django.apps import AppConfig

from config.server.connections import look_after_connections


class ServerConfig(AppConfig):
    name = "config.server"
    label = "server"

    def ready(self) -> None:
        look_after_connections()
