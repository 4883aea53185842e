"""The project's settings for tests: a database that may forget, passwords that hash quickly."""

import os

os.environ.setdefault("DEBUG", "1")
os.environ.setdefault("EMBEDDED_POSTGRES_PROFILE", "test")

from config.settings import *  # noqa: E402, F403

DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
