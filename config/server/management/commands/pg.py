from argparse import REMAINDER, ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from config.server.embedded_postgres.base import DatabaseWrapper


class Command(BaseCommand):
    """The embedded PostgreSQL by hand. Nothing needs it to be started: the first connection does that."""

    help = "Start, stop, look at or open the embedded PostgreSQL server."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status", "psql"])
        parser.add_argument("parameters", nargs=REMAINDER, help="what to hand on to psql")

    def handle(self, *, action: str, parameters: list[str], **options: object) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        if not isinstance(connection, DatabaseWrapper):
            raise CommandError("DATABASE_URL names a server of your own: there is no embedded one to manage.")
        try:
            if action == "psql":
                connection.client.runshell(parameters)
            else:
                self.stdout.write({"start": _start, "stop": _stop, "status": _status}[action](connection))
        except DatabaseError as error:
            raise CommandError(str(error)) from error


def _start(connection: DatabaseWrapper) -> str:
    connection.server.ensure_running()
    return _status(connection)


def _stop(connection: DatabaseWrapper) -> str:
    return "PostgreSQL has stopped." if connection.server.stop() else "PostgreSQL was not running."


def _status(connection: DatabaseWrapper) -> str:
    places = connection.server.places
    if places is None:
        return f"There is no database yet; the first connection creates it ({connection.server.wanted})."
    lines = {
        "state": f"running as process {pid}" if (pid := connection.server.pid) else "stopped",
        "data": places.data,
        "socket": places.sockets,
        "user": places.account.name if places.account else "the present user",
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())
