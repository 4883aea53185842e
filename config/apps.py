from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register

from config.checks import (
    check_database_for_production,
    check_layout,
    check_server_of_its_own,
    check_server_version,
    check_trusted_proxies,
    check_writable_folder,
)
from core.api.checks import check_middleware_below_api
from core.observation.access_log import AccessLine, access_log


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        import_module("config.background_tasks")  # needs the models
        import_module("config.readings")
        if settings.SENTRY_DSN:
            import_module("config.error_reports")
        if settings.LOG_FORMAT == "json":
            access_log.format = AccessLine.as_json
        register(check_server_version, Tags.database)
        register(check_layout, Tags.database)
        register(check_trusted_proxies, Tags.security, deploy=True)
        register(check_server_of_its_own, Tags.database, deploy=True)
        register(check_writable_folder, Tags.files, deploy=True)
        register(check_database_for_production, Tags.database, deploy=True)
        register(check_middleware_below_api)
