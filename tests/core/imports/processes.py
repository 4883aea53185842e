"""Commands as processes of their own, on the test's database."""

import os
import subprocess
import sys
from typing import Any

from tests.faults.servers import PROJECT, database_url


def start_command(*words: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start a command; what it is to see must have been committed."""
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "1",
        "DATABASE_URL": database_url(),
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env=environ,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
