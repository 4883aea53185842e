"""The project's settings for tests: a database that may forget, passwords that hash quickly."""

import os
import sys
import tempfile
from pathlib import Path

# Tests start Python a hundred times: what is compiled once is kept, whatever the environment says.
sys.dont_write_bytecode = False
sys.pycache_prefix = str(Path(__file__).resolve().parents[1] / "var" / "bytecode")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
os.environ.setdefault("DEBUG", "1")
os.environ.setdefault("EMBEDDED_POSTGRES_PROFILE", "test")

from config.settings import *  # noqa: E402, F403

# Data sets stay in transactions that are open for as long as their tests take, on a busy machine for minutes.
_options = DATABASES["default"]["OPTIONS"]  # noqa: F405
_options["options"] = f"{_options.get('options', '')} -c idle_in_transaction_session_timeout=0"

DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TOKEN_STATE_LIFETIME = 3_600  # a slow test must not spend a statement of its budget on its own token
# Each test process has its own, which the servers that it starts share with it.
_folder = os.environ.setdefault("REVOCATION_STAMPS", tempfile.mkdtemp())
REVOCATION_STAMP = Path(_folder) / os.environ.get("PYTEST_XDIST_WORKER", "revocations")
EMAIL_IN_BACKGROUND = False
WEBHOOK_ALLOW_HTTP = False
WEBHOOK_ALLOWED_NETWORKS = []  # as in production
