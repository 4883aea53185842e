"""The files in deploy/, the Dockerfile and compose.yaml: their syntax, and that what they name exists."""

import re
import shlex
import shutil
import socket
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands
from django.db import connection

from config.server.granian import IDLE_TIMEOUT
from config.server.limits import MEGABYTE, Limits
from core.background.worker import BackgroundWorker
from core.observation.requests import REQUEST_ID

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
UNITS = sorted((ROOT / "deploy").glob("*.service")) + sorted((ROOT / "deploy").glob("*.timer"))
NGINX = (ROOT / "deploy/nginx.conf").read_text()
VARIABLE = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+)", re.MULTILINE)


def documented_variables() -> set[str]:
    page = (ROOT / "docs/configuration.md").read_text()
    return {name for row in VARIABLE.findall(page) for name in re.findall(r"[A-Z_]+", row)}


def commands() -> list[list[str]]:
    """The words behind `manage.py` of everything that starts the service."""
    services = COMPOSE["services"].values()
    found = [service["command"] for service in services if "manage.py" in service.get("command", ())]
    found += [yaml.safe_load(text) for text in re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)]
    for unit in UNITS:
        started = re.findall(r"^ExecStart=(.*manage.*)$", unit.read_text(), re.MULTILINE)
        found += [shlex.split(line) for line in started]
    return [words[words.index("manage.py") + 1 :] for words in found]


def test_what_is_started_are_commands_of_the_project() -> None:
    assert {words[0] for words in commands()} == {"serve", "work", "migrate", "backup"}
    assert {words[0] for words in commands()} <= set(get_commands())


def test_one_service_builds_the_image_and_none_is_waited_for_in_vain() -> None:
    """`up --wait` fails for a service whose health check is switched off."""
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if "build" in service] == ["migrate"]
    assert all("disable" not in service.get("healthcheck", {}) for service in services.values())
    assert "migrate" in services["web"]["depends_on"]
    assert "migrate" in services["worker"]["depends_on"]


def test_the_health_check_of_the_worker_finds_its_heartbeat(db: None, real_time: None) -> None:
    test = COMPOSE["services"]["worker"]["healthcheck"]["test"][-1]
    statement = re.search(r'"(SELECT .*)"', test)[1]
    host = [f"{socket.gethostname()}:%"]
    with connection.cursor() as cursor:
        cursor.execute(statement, host)
        assert cursor.fetchone() is None
        BackgroundWorker(only=()).work_once()
        cursor.execute(statement, host)
        assert cursor.fetchone() == (1,)


def test_the_service_is_no_superuser_in_compose() -> None:
    database = COMPOSE["services"]["database"]
    [role] = [used["source"] for used in database["configs"] if "initdb" in used["target"]]
    assert "CREATE ROLE segments LOGIN CREATEDB PASSWORD" in COMPOSE["configs"][role]["content"]
    assert "POSTGRES_USER" not in database["environment"]


@pytest.mark.parametrize("service", ["web", "worker", "migrate"])
def test_settings_of_the_containers_are_documented(service: str) -> None:
    environment = COMPOSE["services"][service]["environment"]
    assert set(environment) - documented_variables() == set()
    assert "read_only" in COMPOSE["services"][service]


def test_only_the_web_workers_go_through_pgbouncer() -> None:
    addresses = {
        name: service["environment"]["DATABASE_URL"].rpartition("@")[2]
        for name, service in COMPOSE["services"].items()
        if "DATABASE_URL" in service.get("environment", {})
    }
    assert addresses == {
        "migrate": "database:5432/segments",
        "web": "pgbouncer:6432/segments",
        "worker": "database:5432/segments",
    }
    web = COMPOSE["services"]["web"]["environment"]
    assert (web["DATABASE_PREPARE_AFTER"], web["WORKERS_BACKGROUND"]) == ("0", "0")


def test_files_and_volumes_that_compose_names_exist() -> None:
    for config in COMPOSE["configs"].values():
        assert "content" in config or (ROOT / config["file"]).is_file()
    for service in COMPOSE["services"].values():
        for dependency in service.get("depends_on", {}):
            assert dependency in COMPOSE["services"]
        for used in service.get("configs", ()):
            assert used["source"] in COMPOSE["configs"]
        for volume in service.get("volumes", ()):
            assert volume.startswith("${") or volume.split(":")[0] in COMPOSE["volumes"]


def test_the_image_is_small_and_without_rights() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "USER segments" in last
    assert "apt-get" not in last
    assert "pip install" not in last
    assert last.index("USER segments") < last.index("CMD")
    assert "HEALTHCHECK" in last
    assert "--require-hashes" in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "var", ".env", "certificates", "tests"} <= set(
        ignored
    )  # the key of TLS above all
    for name in re.findall(r"[\w-]+\.lock", DOCKERFILE.replace("requirements-$extra.lock", "")):
        assert (ROOT / name).is_file()


def text_for_verification(unit: Path) -> str:
    """Return a unit whose program and folder exist on every machine."""
    text = unit.read_text().replace("/srv/customer-segments/.venv/bin/python", "/bin/sh")
    return text.replace("/srv/customer-segments", "/")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_have_what_systemd_needs(unit: Path, tmp_path: Path) -> None:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.read_string(unit.read_text())
    assert {"Unit", "Service" if unit.suffix == ".service" else "Timer"} <= set(parser.sections())
    (tmp_path / unit.name).write_text(text_for_verification(unit))
    service = unit.with_suffix(".service")
    (tmp_path / service.name).write_text(text_for_verification(service))
    if systemd := shutil.which("systemd-analyze"):
        done = subprocess.run([systemd, "verify", tmp_path / unit.name], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_nginx_fits_the_service() -> None:
    assert NGINX.count("{") == NGINX.count("}")
    idle = int(re.search(r"keepalive_timeout (\d+)s", NGINX)[1])
    assert idle < IDLE_TIMEOUT
    assert int(re.search(r"client_max_body_size (\d+)m", NGINX)[1]) * MEGABYTE == Limits().body_bytes
    assert "location = /metrics { return 404; }" in NGINX
    accepted = re.search(r'"~\^(\[.*?\])\+\$"', NGINX)[1]
    assert REQUEST_ID.pattern.startswith(accepted)


def test_nginx_accepts_its_page(tmp_path: Path) -> None:
    """Where there is an nginx; elsewhere the test above is what there is."""
    page = NGINX.replace("web:8000", "127.0.0.1:8000").replace("[::]:", "[::1]:")
    page = page.replace("listen 80", "listen 127.0.0.1:18080").replace("listen 443", "listen 127.0.0.1:18443")
    for name in ("fullchain", "privkey"):
        page = page.replace(f"/etc/nginx/certificates/{name}.pem", str(tmp_path / f"{name}.pem"))
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=segments.shop.example",
            "-keyout",
            tmp_path / "privkey.pem",
            "-out",
            tmp_path / "fullchain.pem",
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {page} }}"
    )
    if nginx := shutil.which("nginx"):
        done = subprocess.run(
            [nginx, "-t", "-c", tmp_path / "nginx.conf", "-p", tmp_path], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_pgbouncer_sets_what_a_web_worker_would_set_itself() -> None:
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.read_string((ROOT / "deploy/pgbouncer.ini").read_text())
    query = parser["databases"]["segments"]
    assert "statement_timeout = 5000" in query
    assert "lock_timeout = 3000" in query
    assert parser["pgbouncer"]["pool_mode"] == "transaction"
    assert "options" in parser["pgbouncer"]["ignore_startup_parameters"].split(",")
