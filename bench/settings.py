"""The project's settings as in production, on a data set, with the bare views beside the API."""

import os

os.environ.update(
    DEBUG="0",
    SECRET_KEY="the-benchmark-signs-only-tokens-of-its-own-made-up-shop",
    ALLOWED_HOSTS="127.0.0.1,testserver",
    SECURE_SSL_REDIRECT="0",
)
os.environ.setdefault("ACCESS_LOG", "0")  # bench.server turns it on: here it would hide what is measured

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, MIDDLEWARE, VAR_DIR  # noqa: E402

BENCH_SCALE = os.environ.get("BENCH_SCALE", "small")
# A benchmark lasts longer than an hour at most; its server claims a folder of its own beside the demo's.
DATABASES["default"]["NAME"] = f"{DATABASES['default']['NAME']}_bench_{BENCH_SCALE}"
VAR_DIR = VAR_DIR / "bench"
LIMITS_FOLDER = VAR_DIR / "limits"

ROOT_URLCONF = "bench.urls"
MIDDLEWARE = ["bench.limits.BareViews", *MIDDLEWARE]
