"""The command line of manage.py."""

import os
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, ManagementUtility
from django.db import Error as DatabaseFailure

from config.server.embedded_postgres.errors import EmbeddedPostgresError
from config.server.postgres.base import DatabaseUnavailable
from core.actors import act_as_command
from core.unavailability import failure_in_words, is_failure_of_server

VERSION = "0.1.0"  # as in pyproject.toml


class CommandLine(ManagementUtility):
    """Django's command line, whose version is the product's.

    A wrong configuration and a database that fails are one sentence on standard error and exit status 1,
    whichever command met them. `--traceback` shows where.
    """

    def execute(self) -> None:
        if self.argv[1:2] == ["work"] and "--once" not in self.argv:
            os.environ["SERVICE_ROLE"] = "background"  # before the settings are read: see config.database
        if self.argv[1:] in (["--version"], ["version"]):
            sys.stdout.write(f"{VERSION}\n")
            return
        try:
            super().execute()
        except (ImproperlyConfigured, DatabaseFailure) as error:
            if "--traceback" in self.argv or (text := in_one_sentence(error)) is None:
                raise
            sys.exit(text)

    def fetch_command(self, subcommand: str) -> BaseCommand:
        command: Any = super().fetch_command(subcommand)
        act_as_command(subcommand)
        command.get_version = lambda: VERSION
        return command


def in_one_sentence(error: Exception) -> str | None:
    """Return what to say instead of a traceback; None for an error of the program."""
    if isinstance(error, ImproperlyConfigured):
        return f"The configuration is wrong: {error}"
    if isinstance(error, DatabaseUnavailable | EmbeddedPostgresError):
        return str(error)
    return failure_in_words(error) if is_failure_of_server(error) else None
