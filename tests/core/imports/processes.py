"""Commands as processes of their own, on the test's database."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connection

PROJECT = Path(__file__).resolve().parents[3]


def start_command(*words: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start a command; what it is to see must have been committed."""
    parameters = connection.get_connection_params()
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "1",
        "DATABASE_URL": f"postgres://{parameters.get('user', '')}:{parameters.get('password') or ''}@"
        f"/{connection.settings_dict['NAME']}?host={quote(parameters['host'], safe='')}"
        f"&port={parameters.get('port') or 5432}",
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env=environ,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
