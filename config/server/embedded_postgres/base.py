"""Django's PostgreSQL backend, on the embedded server.

The server starts at the first connection and not with the settings, which the type checker,
`collectstatic` and many others load without needing a database.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.postgresql import client

from config.server.embedded_postgres.places import binaries_folder
from config.server.embedded_postgres.server import USER, EmbeddedServer
from config.server.embedded_postgres.tuning import PORT
from config.server.postgres import base


class DatabaseClient(client.DatabaseClient):
    """`manage.py dbshell` with the psql that came with the server."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        sockets = EmbeddedServer(**settings_dict["EMBEDDED"]).ensure_running()
        reachable = {**settings_dict, "HOST": str(sockets), "PORT": PORT, "USER": USER}
        words, environ = super().settings_to_cmd_args_env(reachable, parameters)
        return [str(binaries_folder(account=None) / "psql"), *words[1:]], environ


class DatabaseWrapper(base.DatabaseWrapper):
    """Connects to the server that `EMBEDDED` in the database's settings describes: data folder and profile.

    Raises EmbeddedPostgresError, which is an OperationalError, when that server cannot be started.
    """

    client_class = DatabaseClient

    def __init__(self, settings_dict: dict[str, Any], *arguments: str, **named: str) -> None:
        super().__init__(settings_dict, *arguments, **named)
        self.server = EmbeddedServer(**settings_dict["EMBEDDED"])
        self.sockets: Path | None = None

    def get_connection_params(self) -> dict[str, object]:
        if self.sockets is None:
            self.sockets = self.server.ensure_running()
        return {**super().get_connection_params(), "host": str(self.sockets), "port": PORT, "user": USER}

    def get_new_connection(self, conn_params: dict[str, object]) -> psycopg.Connection[object]:
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            self.server.ensure_running()
            return super().get_new_connection(conn_params)
