from django.apps import AppConfig
from django.core.checks import Tags, register

from config.checks import check_server_version, check_trusted_proxies


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        register(check_server_version, Tags.database)
        register(check_trusted_proxies, Tags.security, deploy=True)
