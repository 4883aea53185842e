"""docs/deploy.md, from an empty database to the first segment, each command as it is written there.

What the docs name is replaced by what the test has: folders, the address of the database and of the service.
The service is started as the unit for systemd says.
"""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection

from config.server.embedded_postgres.places import binaries_folder
from tests.deploy.documents import ROOT, Shell, bare_checkout, pages_with_runnable_blocks, runnable_blocks
from tests.ports import reserved_port
from tests.waiting import wait_until

PAGES = ["backups.md", "deploy.md", "tenants.md"]


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((ROOT / "deploy" / name).read_text())
    return parser


@pytest.fixture
def names(db: None) -> Iterator[dict[str, str]]:
    """The role and the database that the docs make, under names of this test."""
    suffix = connection.settings_dict["NAME"].replace("test_segments", "deployed")
    parameters = connection.get_connection_params()
    yield {
        "name": suffix,
        "host": parameters["host"],
        "port": str(parameters.get("port") or 5432),
        "user": parameters.get("user") or "",
        "password": parameters.get("password") or "",
    }
    parameters = {**parameters, "dbname": "postgres", "cursor_factory": None}
    with psycopg.connect(**parameters, autocommit=True) as session:
        session.execute(f"DROP DATABASE IF EXISTS {suffix} WITH (FORCE)")
        session.execute(f"DROP DATABASE IF EXISTS {suffix}_restored WITH (FORCE)")
        session.execute(f"DROP ROLE IF EXISTS {suffix}")


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


@pytest.fixture
def shell(tmp_path: Path, names: dict[str, str], port: int) -> Shell:
    folder = bare_checkout(tmp_path / "checkout")
    (tmp_path / "var").mkdir()
    (tmp_path / ".curlrc").write_text(
        'header = "Host: segments.shop.example"\nheader = "X-Forwarded-Proto: https"\n'
    )
    host = quote(names["host"], safe="")
    where = f"host={host}&port={names['port']}"
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYENV_ROOT", "PYENV_VERSION")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    environ |= {
        "PATH": f"{binaries_folder(None)}:{environ['PATH']}",
        "CURL_HOME": str(tmp_path),
        "PORT": str(port),
        "WEB_WORKERS": "1",
        "ADMINISTRATOR": f"postgres://{names['user']}:{names['password']}@/postgres?{where}",
    }
    return Shell(
        folder,
        environ,
        {
            "chgrp segments": f"chgrp {os.getgid()}",
            "/etc/customer-segments.env": str(tmp_path / "customer-segments.env"),
            "/var/lib/customer-segments": str(tmp_path / "var"),
            "/var/backups/customer-segments": str(tmp_path / "backups"),
            "/srv/customer-segments": str(folder),
            "ROLE segments": f"ROLE {names['name']}",
            "OWNER segments": f"OWNER {names['name']}",
            "DATABASE segments": f"DATABASE {names['name']}",
            "segments_restored": f"{names['name']}_restored",
            "postgres://segments:$DATABASE_PASSWORD@127.0.0.1:5432/segments": (
                f"postgres://{names['name']}:$DATABASE_PASSWORD@/{names['name']}?{where}"
            ),
            "https://segments.shop.example/": f"http://127.0.0.1:{port}/",
            "API=https://segments.shop.example": f"API=http://127.0.0.1:{port}",
            "http://127.0.0.1:8000/": f"http://127.0.0.1:{port}/",
        },
    )


@pytest.fixture
def served(shell: Shell) -> Iterator[Any]:
    """Start the service as its unit says, once it is called."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        service = unit("customer-segments.service")["Service"]
        folder, settings = service["WorkingDirectory"], service["EnvironmentFile"]
        command = service["ExecStart"]
        for word, other in shell.replaced.items():
            folder, settings, command = (text.replace(word, other) for text in (folder, settings, command))
        given = dict(word.split("=", 1) for word in shlex.split(Path(settings).read_text()))
        log = (Path(settings).parent / "log").open("wb")
        started.append(
            subprocess.Popen(
                shlex.split(command), cwd=folder, env=shell.environ | given, stdout=log, stderr=log
            )
        )
        ready = ["curl", "--silent", "--fail", f"http://127.0.0.1:{shell.environ['PORT']}/readyz"]

        def is_ready() -> bool:
            assert started[0].poll() is None, Path(log.name).read_text()
            return subprocess.run(ready, env=shell.environ, capture_output=True).returncode == 0

        wait_until(is_ready)

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait()


def test_every_page_with_runnable_blocks_is_run_by_a_test() -> None:
    assert pages_with_runnable_blocks() == PAGES


@pytest.mark.parametrize(
    ("page", "scripts"),
    [
        ("deploy.md", {"runnable": None, "machine": "try_machine.sh", "containers": "try_image.sh"}),
        ("backups.md", {"runnable": None, "machine": "try_machine.sh"}),
    ],
)
def test_every_block_is_run_by_this_test_or_by_a_script(page: str, scripts: dict[str, str | None]) -> None:
    text = (ROOT / "docs" / page).read_text()
    assert set(re.findall(r"^```(?:bash|sh)\b ?(.*)$", text, re.MULTILINE)) == set(scripts)
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading = part.partition("\n")[0]
        for mark in re.findall(r"^```(?:bash|sh)\b ?(.*)$", part, re.MULTILINE):
            if script := scripts[mark]:
                steps = re.findall(r"## (\w[\w. ]*)", (ROOT / "scripts" / script).read_text())
                assert any(heading.startswith(step) for step in steps), (heading, script)


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_what_a_shell_reads(script: Path) -> None:
    shell = script.read_text().partition("\n")[0].rpartition("/")[2]
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def new_files(folder: Path) -> set[str]:
    """Return the files of a checkout that are not the project's."""
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {
        name
        for name in files
        if not (ROOT / name).exists() and not name.startswith(".venv/") and not name.endswith(".pyc")
    }


def test_the_docs_lead_from_an_empty_server_to_the_first_segment(shell: Shell, served: Any) -> None:
    *before, probes, first_segment = runnable_blocks("deploy.md")
    outputs = [shell.run(block) for block in before]
    served()
    assert "segments_build_info{" in shell.run(probes)
    matched = shell.run(first_segment)
    settings = Path(shell.replaced["/etc/customer-segments.env"])
    assert settings.stat().st_mode & 0o777 == 0o640  # the service's group reads them, nobody else
    assert json.loads(re.search(r"\[.*\]$", matched.strip(), re.DOTALL)[0]) == [{"id": "2"}]
    assert "System check identified no issues" in "".join(outputs)
    for page in PAGES:
        if page != "deploy.md":
            for block in runnable_blocks(page):
                shell.run(block)
    assert new_files(shell.folder) == {"state.sh"}  # the user of the service may not write there
