"""What the settings refuse, and what they turn on only when asked, read in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment
from config.secret_key import DEVELOPMENT_KEY, secret_key

ROOT = Path(__file__).resolve().parents[2]
GOOD_KEY = "k7Q2mX9vRz4TnB8sWc1YhL5pGd3JfA6uEo0iKqPtNyVxMwZbCr"


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    """Read the settings with these variables, and print those about HSTS."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    code = (
        "import json; from config import settings as s;"
        "print(json.dumps([s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("", "is not set."),
        (DEVELOPMENT_KEY, "is the development key, which is published with the source code."),
        (f"django-insecure-{GOOD_KEY}", "begins with django-insecure-, as keys do that Django generates"),
        (GOOD_KEY[:49], "has 49 characters, too few to be safe."),
        ("abcd" * 20, "repeats the same few characters."),
    ],
)
def test_production_does_not_start_with_a_key_that_is_known_or_easily_guessed(key, fault):
    with pytest.raises(ImproperlyConfigured) as refused:
        secret_key(Environment({"SECRET_KEY": key}), debug=False)
    assert str(refused.value).startswith(f"SECRET_KEY {fault}")
    assert "secrets.token_urlsafe(50)" in str(refused.value)
    assert not key or key not in str(refused.value)


def test_production_takes_a_good_key_and_development_needs_none():
    assert secret_key(Environment({"SECRET_KEY": GOOD_KEY}), debug=False) == GOOD_KEY
    assert secret_key(Environment({}), debug=True) == DEVELOPMENT_KEY


def test_settings_refuse_the_development_key_without_debug():
    started = start(SECRET_KEY=DEVELOPMENT_KEY)
    assert started.returncode == 1
    assert "SECRET_KEY is the development key" in started.stderr


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [False, False]),
        ({"SECURE_HSTS_INCLUDE_SUBDOMAINS": "1"}, [True, False]),
        ({"SECURE_HSTS_INCLUDE_SUBDOMAINS": "1", "SECURE_HSTS_PRELOAD": "1"}, [True, True]),
    ],
)
def test_hsts_binds_subdomains_and_preload_lists_only_when_asked(asked, expected):
    started = start(SECRET_KEY=GOOD_KEY, **asked)
    assert json.loads(started.stdout) == expected
