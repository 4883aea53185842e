#!/usr/bin/env python
"""Run the project's management commands."""

import os
import sys

try:
    from django.core.exceptions import ImproperlyConfigured
except ModuleNotFoundError:
    sys.exit("Django is not installed for this Python; run the commands as .venv/bin/python manage.py.")

from config.command_line import CommandLine
from config.server.embedded_postgres.errors import EmbeddedPostgresError
from config.server.postgres.base import DatabaseUnavailable

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        CommandLine(sys.argv).execute()
    except ImproperlyConfigured as error:  # says what to set; where it was raised helps nobody
        sys.exit(f"The configuration is wrong: {error}")
    except (DatabaseUnavailable, EmbeddedPostgresError) as error:
        sys.exit(f"{error}")
