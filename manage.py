#!/usr/bin/env python
"""Run the project's management commands."""

import os
import sys

try:
    import django  # noqa: F401
except ModuleNotFoundError:
    sys.exit("Django is not installed for this Python; run the commands as .venv/bin/python manage.py.")

from config.command_line import CommandLine

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    CommandLine(sys.argv).execute()
