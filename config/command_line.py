"""The command line of manage.py."""

import os
import sys
from typing import Any

from django.core.management import BaseCommand, ManagementUtility

from core.actors import act_as_command

VERSION = "0.1.0"  # as in pyproject.toml


class CommandLine(ManagementUtility):
    """Django's command line, whose version is the product's."""

    def execute(self) -> None:
        if self.argv[1:2] == ["work"] and "--once" not in self.argv:
            os.environ["SERVICE_ROLE"] = "background"  # before the settings are read: see config.database
        if self.argv[1:] in (["--version"], ["version"]):
            sys.stdout.write(f"{VERSION}\n")
        else:
            super().execute()

    def fetch_command(self, subcommand: str) -> BaseCommand:
        command: Any = super().fetch_command(subcommand)
        act_as_command(subcommand)
        command.get_version = lambda: VERSION
        return command
