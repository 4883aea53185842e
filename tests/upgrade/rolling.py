"""From the commit in `FROM` to this one, while clients read and write: migrations, then the web workers.

The new code migrates, then takes the old one's place in its folder, and the web workers are replaced one by
one. No request fails, and nothing that was acknowledged is lost.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.db import connection

from tests.deploy.documents import bare_checkout
from tests.faults.servers import WebServer
from tests.upgrade.databases import fresh_database
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
FROM = (ROOT / "tests/upgrade/FROM").read_text().strip()
CLIENTS = 3
SCOPES = ",".join(
    ("customersegment.segment_manage", "coupon.coupon_manage", "coupon.coupon_redeem_on_behalf")
)


class Machine(WebServer):
    """A web server whose code lies in a folder of its own."""

    def __init__(self, folder: Path, **environ: str) -> None:
        super().__init__(workers=2, log=folder.parent / "log", **environ)
        self.folder = folder

    def manage(self, *words: str, folder: Path | None = None) -> str:
        environ = {name: text for name, text in self.environ.items() if name != "SERVICE_ROLE"}
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=folder or self.folder,
            env=environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_process(self) -> None:
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self.workers)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.server.granian", *words],
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


class Traffic:
    """Clients that read and write all the time, each request over a connection of its own."""

    def __init__(self, machine: Machine, token: str) -> None:
        self.machine = machine
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.phase = "the former version"
        self.failures: list[tuple[str, str, str, int, bytes]] = []
        self.acknowledged: set[str] = set()
        self.answered = 0
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Traffic":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def work(self, number: int) -> None:
        turn = 0
        while not self.is_over.is_set():
            turn += 1
            name = f"s-{number}-{turn}"
            body = {"id": name, "name": {"en": name}, "siteCode": "main", "status": "ACTIVE"}
            if self.ask("POST", "/customer-segment/acme/segments", body) == 201:
                self.acknowledged.add(name)
            self.ask("GET", "/customer-segment/acme/segments?pageSize=20")
            self.ask("PUT", f"/customer-segment/acme/segments/{name}/customers/c-1", {})
            order = {
                "customerNumber": "c-1",
                "orderCode": name,
                "orderTotal": {"amount": 10, "currency": "EUR"},
                "discount": {"amount": 1, "currency": "EUR"},
            }
            self.ask("POST", "/coupon/acme/coupons/TEN/redemptions", order)
            time.sleep(0.02)

    def ask(self, method: str, path: str, body: object = None) -> int:
        status, content = self.machine.send(
            method, path, None if body is None else json.dumps(body), **self.headers
        )
        if status not in (200, 201, 204):
            self.failures.append((self.phase, method, path, status, content[:200]))
        self.answered += 1
        return status

    def wait_for(self, count: int) -> None:
        """Return when so many more requests were answered."""
        wanted = self.answered + count
        wait_until(lambda: self.answered >= wanted)


def former_version(folder: Path) -> Path:
    """Write the code of the commit in `FROM` into the folder.

    A shallow clone lacks the commit: the present version is rolled out over itself there, and a warning says
    so.
    """
    folder.mkdir()
    former = subprocess.run(["git", "archive", FROM], cwd=ROOT, capture_output=True)
    if former.returncode:
        warnings.warn(
            f"The commit {FROM} is not here, so no migration is tried: fetch the whole history.", stacklevel=2
        )
        (bare_checkout(folder) / ".venv").unlink()
        return folder
    subprocess.run(["tar", "--extract", "--directory", folder], input=former.stdout, check=True)
    return folder


def take_over(folder: Path, new: Path) -> None:
    """Put the new version's files in place of the former one's, as `git checkout` does."""
    shutil.copytree(new, folder, symlinks=True, dirs_exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not (new / path.relative_to(folder)).exists():
            path.unlink()


@pytest.fixture
def machine(transactional_db: None, tmp_path: Path) -> Iterator[Machine]:
    """The former version, on a database that it has made and filled."""
    folder = former_version(tmp_path / "service")
    name = f"{connection.settings_dict['NAME']}_rolling"
    with fresh_database(name):
        parameters = connection.get_connection_params()
        connection.close()
        where = urlencode({"host": parameters["host"], "port": parameters.get("port") or 5432})
        login = f"{parameters.get('user') or ''}:{quote(parameters.get('password') or '')}"
        machine = Machine(
            folder,
            VAR_DIR=str(tmp_path / "var"),
            DATABASE_URL=f"postgres://{login}@/{name}?{where}",
        )
        try:
            yield machine
        finally:
            if hasattr(machine, "process"):
                machine.kill()


def fill(machine: Machine) -> str:
    """Make a shop, and return a token of its client."""
    machine.manage("migrate", "--verbosity", "0")
    machine.manage("create_tenant", "acme", "--languages", "en", "--currency", "EUR")
    said = machine.manage("create_api_client", "acme", "--client-id", "backend", "--scopes", SCOPES)
    secret = re.search(r"client_secret: (\S+)", said)[1]
    customers = machine.folder.parent / "customers.csv"
    rows = "".join(f"c-{number},c{number}@example.com\n" for number in range(1, 2_001))
    customers.write_text(f"id,contactEmail\n{rows}")
    machine.manage("upsert_customers", str(customers), "--tenant", "acme", "--quiet")
    machine.start()
    form = f"grant_type=client_credentials&client_id=backend&client_secret={secret}"
    status, body = machine.send(
        "POST", "/oauth/token", form, Content_Type="application/x-www-form-urlencoded"
    )
    assert status == 200
    token = json.loads(body)["access_token"]
    coupon = {"code": "TEN", "name": "Ten", "discountType": "PERCENT", "discountPercentage": 10}
    headers = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
    assert machine.send("POST", "/coupon/acme/coupons", json.dumps(coupon), **headers)[0] == 201
    return token


def test_an_upgrade_under_traffic_fails_no_request_and_loses_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    token = fill(machine)
    new = bare_checkout(tmp_path / "new")
    with Traffic(machine, token) as traffic:
        traffic.wait_for(30)
        traffic.phase = "the migrations"
        machine.manage("migrate", "--verbosity", "0", folder=new)
        traffic.phase = "the former version on the new tables"
        traffic.wait_for(60)  # the former code on the new tables

        take_over(machine.folder, new)
        traffic.phase = "the change of the workers"
        for worker in machine.pids():
            os.kill(worker, signal.SIGTERM)  # the server process starts another one at once
            wait_until(lambda gone=worker: gone not in machine.pids())
            wait_until(lambda: machine.listeners() == 2)
        traffic.wait_for(60)
    assert traffic.failures == []
    assert len(traffic.acknowledged) > 20

    client = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=60)
    client.request(
        "GET",
        "/customer-segment/acme/segments?pageSize=1",
        headers={"Authorization": f"Bearer {token}", "X-Total-Count": "true"},
    )
    response = client.getresponse()
    assert response.getheader("X-Request-Id")  # the new code answers
    assert int(response.getheader("X-Total-Count")) >= len(traffic.acknowledged)
    client.close()
    for name in traffic.acknowledged:
        path = f"/customer-segment/acme/segments/{name}"
        assert machine.send("GET", path, Authorization=f"Bearer {token}")[0] == 200
