"""The command line of manage.py."""

import os
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, ManagementUtility
from django.db import Error as DatabaseFailure

from config.server.embedded_postgres.places import EmbeddedPostgresError
from config.server.postgres.base import DatabaseUnavailable
from core.actors import act_as_command
from core.unavailability import failure_in_words, is_failure_of_server

ROOT = Path(__file__).resolve().parents[1]
VERSION = "0.3.0"  # as in pyproject.toml


def missing_module(error: ModuleNotFoundError, settings_module: str) -> str:
    """Return what to do about a module that is not there; empty for one of this project, which is a bug."""
    name = error.name or ""
    if f"{settings_module}.".startswith(f"{name}."):
        return (
            f"There is no settings module {settings_module}. Name one by --settings or"
            " DJANGO_SETTINGS_MODULE, or neither: config.settings is the default."
        )
    package = name.partition(".")[0]
    if (ROOT / package).exists():
        return ""
    return (
        f"The package {package} is not installed for this Python; run the commands as"
        " .venv/bin/python manage.py, and install what requirements.lock lists."
    )


class CommandLine(ManagementUtility):
    """Django's command line, whose version is the product's.

    A wrong configuration, a missing package and a database that fails are one sentence on standard error
    and exit status 1, whichever command met them. `--traceback` shows where.
    """

    def execute(self) -> None:
        if self.argv[1:2] == ["work"] and "--once" not in self.argv:
            os.environ["SERVICE_ROLE"] = "background"  # before the settings are read: see config.database
        if self.argv[1:] in (["--version"], ["version"]):
            sys.stdout.write(f"{VERSION}\n")
            return
        try:
            super().execute()
        except (ImproperlyConfigured, ModuleNotFoundError, DatabaseFailure) as error:
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
    if isinstance(error, ModuleNotFoundError):
        return missing_module(error, os.environ["DJANGO_SETTINGS_MODULE"]) or None
    if isinstance(error, DatabaseUnavailable | EmbeddedPostgresError):
        return str(error)
    return failure_in_words(error) if is_failure_of_server(error) else None
