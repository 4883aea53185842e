"""The machine that measures: which core does what, and what its figures can be compared with."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from django.db import connection

from core.json_types import JsonObject

WORKER_CORE = 0
SETTINGS_THAT_MATTER = (
    "shared_buffers",
    "work_mem",
    "effective_cache_size",
    "max_wal_size",
    "random_page_cost",
    "jit",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "plan_cache_mode",
)
PACKAGES = ("Django", "djangorestframework", "psycopg", "granian", "orjson", "PyJWT")


def pin_to_worker_core() -> None:
    """Keep this process and its children on the core of the web worker, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {WORKER_CORE})


def pin_to_other_cores() -> None:
    """Keep this process and its children away from the core of the web worker, if there is another one."""
    if hasattr(os, "sched_setaffinity") and (others := set(range(os.cpu_count() or 1)) - {WORKER_CORE}):
        os.sched_setaffinity(0, others)


def cpu_model() -> str:
    """Return what the system says of its processor."""
    if sys.platform == "darwin":
        found = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True
        )
        return found.stdout.strip()
    try:
        facts = dict(re.findall(r"^(.+?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    except FileNotFoundError:
        return platform.processor()
    return f"{facts.get('model name', platform.machine())}, {float(facts.get('cpu MHz', 0)):.0f} MHz"


def describe_machine() -> JsonObject:
    """Return processor, versions and the settings of PostgreSQL, as results.json keeps them."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        [(server_version,)] = cursor.fetchall()
        cursor.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s) ORDER BY name",
            [list(SETTINGS_THAT_MATTER)],
        )
        settings = dict(cursor.fetchall())
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": server_version.split(" ")[0],
        "packages": {name: version(name) for name in PACKAGES},
        "postgresql settings": settings,
    }


def busy_cores() -> float:
    """Return how many cores the machine used in the last minute: others may have been at work."""
    return os.getloadavg()[0]
