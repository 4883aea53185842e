from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from config.database import PROFILES
from config.server.embedded_postgres.server import EmbeddedServer
from config.server.granian import ServerFile, ServerUnavailable, WorkerFile


class Command(BaseCommand):
    help = "Stop the web server, background workers and embedded databases of this checkout."
    requires_system_checks = []

    def handle(self, **options: object) -> None:
        servers = [
            EmbeddedServer(data=settings.VAR_DIR / folder, profile=profile)
            for profile, folder in PROFILES.items()
        ]
        try:
            stopped = [
                "the web server" if ServerFile(settings.VAR_DIR).stop() else "",
                "background workers" if WorkerFile.stop_all(settings.VAR_DIR) else "",
                *(f"PostgreSQL ({server.profile})" if server.stop() else "" for server in servers),
            ]
        except (DatabaseError, ServerUnavailable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Stopped: {', '.join(filter(None, stopped)) or 'nothing, nothing was running'}.")
