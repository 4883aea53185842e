"""PostgreSQL's own programs: pg_dump and its like, of the version of the server."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import make_conninfo

from config.server.embedded_postgres.places import MAJOR_VERSION, binaries_folder
from config.server.postgres.base import LIBPQ_PARAMETERS, Parameters

VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
OF_DEBIAN = "/usr/lib/postgresql/{major}/bin"
# What a connection of Django asks of its session, and a program of PostgreSQL must not be bound by.
LEFT_OUT = frozenset({"password", "options", "target_session_attrs"})


class ProgramFailed(Exception):
    """A program of PostgreSQL is missing or failed. The message says which, why, and what to do."""


def program(name: str, major: int) -> str:
    """Return the path of a program of this major version; another one may write what the server refuses."""
    places = [OF_DEBIAN.format(major=major), *os.environ.get("PATH", "").split(os.pathsep)]
    if str(major) == MAJOR_VERSION:
        places.append(str(binaries_folder(None)))
    for place in places:
        found = shutil.which(name, path=place)
        if found and major_version(found) == major:
            return found
    raise ProgramFailed(
        f"There is no {name} of PostgreSQL {major} on this machine. Install it (Debian: apt-get install"
        f" postgresql-client-{major}) or add its folder to PATH."
    )


def major_version(path: str) -> int:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = VERSION.search(done.stdout)
    return int(found[1]) if found else 0


def conninfo(parameters: Parameters, **changed: str) -> str:
    """Return how libpq reaches the server, without the password: others see the words of a process."""
    known = LIBPQ_PARAMETERS - LEFT_OUT
    kept = {name: value for name, value in {**parameters, **changed}.items() if name in known and value}
    return make_conninfo(**kept)


def run(words: Sequence[str | Path], parameters: Parameters) -> str:
    """Run a program and return what it wrote; raise ProgramFailed with what it said when it failed."""
    password = {"PGPASSWORD": str(parameters["password"])} if parameters.get("password") else {}
    done = subprocess.run(  # noqa: S603 -- every caller passes a list of its own words
        [str(word) for word in words],
        env={**os.environ, **password},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[-1_000:]
        raise ProgramFailed(f"{Path(str(words[0])).name} failed: {said}")
    return done.stdout
