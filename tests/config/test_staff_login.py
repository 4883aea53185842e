"""Logins through an OpenID provider and with one-time passwords: off unless asked for, and tried."""

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]


def test_both_are_off_unless_asked_for():
    assert not [name for name in settings.INSTALLED_APPS if "oidc" in name or "otp" in name]
    assert not [name for name in settings.MIDDLEWARE if "otp" in name]


def test_logins_of_staff():
    """In a process of its own, since the apps of a process are settled at its start."""
    files = [f"tests/staff_login/{name}.py" for name in ("cases", "pages", "records")]
    words = [*files, "--ds=tests.staff_login.settings", "-q", "-p", "no:cacheprovider"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
