"""Two web machines on a primary with two streaming replicas, and on PgBouncer: `make scale`.

Each part is killed in turn while clients write, and read what they wrote from either machine. Prints a table:
requests, those that failed, the longest time in which none succeeded, wrong answers; at last how many
acknowledged writes are lost. The replicas are synchronous (any one of them): without that, a
promoted replica may lack what the primary acknowledged last.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from config.server.embedded_postgres.tuning import PORT  # noqa: E402
from tests.faults.servers import PROJECT, WebServer  # noqa: E402
from tests.scale.servers import Bouncer, Database, follow, replica_of  # noqa: E402

CLIENTS = 4
SECONDS = float(os.environ.get("SCALE_SECONDS", "8"))
SCOPES = "customersegment.segment_manage"


@dataclass
class Phase:
    name: str
    requests: int = 0
    failed: int = 0
    wrong: int = 0
    longest: float = 0.0
    last_success: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        return f"| {self.name} | {self.requests:,} | {self.failed:,} | {self.longest:.1f} | {self.wrong} |"


class Load:
    """Clients, each of which counts a segment of its own up, and reads it back at once."""

    def __init__(self, machines: list[WebServer], token: str) -> None:
        self.machines = machines
        self.token = token
        self.acknowledged: dict[str, int] = {}
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.phases = [Phase("no fault")]
        self.threads = [threading.Thread(target=self.work, args=(f"s{n}",)) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def begin(self, name: str) -> None:
        with self.lock:
            self.phases.append(Phase(name))

    def end(self) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def work(self, name: str) -> None:
        number = 0
        while not self.is_over.is_set():
            number += 1
            body = {"name": {"en": str(number)}, "siteCode": "main", "status": "ACTIVE"}
            status, _, revision = self.ask("PUT", f"/{name}", json.dumps(body))
            if status not in (201, 204):
                continue
            self.acknowledged[name] = number
            status, content, _ = self.ask("GET", f"/{name}", None, revision)
            if status == 200 and json.loads(content)["name"]["en"] != str(number):
                with self.lock:
                    self.phases[-1].wrong += 1
            self.ask("GET", "?pageSize=20", None)

    def ask(self, method: str, path: str, body: str | None, revision: str = "") -> tuple[int, bytes, str]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if revision:
            headers["If-Min-Revision"] = revision
        client = HTTPConnection("127.0.0.1", random.choice(self.machines).port, timeout=15)
        status, content, given = 0, b"", ""
        try:
            client.request(method, f"/customer-segment/acme/segments{path}", body, headers)
            response = client.getresponse()
            status, content, given = response.status, response.read(), response.getheader("X-Revision") or ""
        except (OSError, HTTPException):
            time.sleep(0.02)
        finally:
            client.close()
        now = time.monotonic()
        with self.lock:
            phase = self.phases[-1]
            phase.requests += 1
            if status in (200, 201, 204):
                phase.longest = max(phase.longest, now - phase.last_success)
                phase.last_success = now
            else:
                phase.failed += 1
        return status, content, given


def manage(url: str, var: Path, *words: str) -> str:
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "1"}
    environ |= {"DATABASE_URL": url, "VAR_DIR": str(var)}
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=PROJECT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def token_of(machine: WebServer, secret: str) -> str:
    form = f"grant_type=client_credentials&client_id=backend&client_secret={secret}"
    status, body = machine.send(
        "POST", "/oauth/token", form, Content_Type="application/x-www-form-urlencoded"
    )
    assert status == 200, body
    return json.loads(body)["access_token"]


def reads_of_replicas(machine: WebServer) -> float:
    _, page = machine.send("GET", "/metrics", Authorization="Bearer the-token-of-scale")
    counts = re.findall(r'segments_replica_reads_total\{target="replica-\d+"\} (\S+)', page.decode())
    return sum(map(float, counts))


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    folder.chmod(0o755)
    databases: list[Database] = []
    machines: list[WebServer] = []
    try:
        run(folder, databases, machines)
    finally:
        for machine in machines:
            machine.kill()
        for database in databases:
            database.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, databases: list[Database], machines: list[WebServer]) -> None:
    primary = Database("primary", folder)
    databases.append(primary)
    primary.initialise()
    manage(primary.url, folder / "var", "migrate", "--verbosity", "0")
    manage(primary.url, folder / "var", "create_tenant", "acme")
    said = manage(
        primary.url, folder / "var", "create_api_client", "acme", "--client-id", "backend", "--scopes", SCOPES
    )
    secret = re.search(r"client_secret: (\S+)", said)[1]
    replicas = [replica_of(primary, name, folder) for name in ("replica_a", "replica_b")]
    databases += replicas
    primary.ask("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (replica_a, replica_b, primary)'")
    primary.ask("SELECT pg_reload_conf()")

    hosts = ",".join(database.sockets for database in databases)
    url = f"postgres://postgres@/segments?host={hosts}&port={PORT},{PORT},{PORT}"
    for number in range(2):
        machine = WebServer(
            workers=1,
            log=folder / f"web-{number}.log",
            VAR_DIR=str(folder / f"var-{number}"),
            DATABASE_URL=url,
            DATABASE_REPLICA_URLS=",".join(replica.url for replica in replicas),
            METRICS_TOKEN="the-token-of-scale",
        )
        machines.append(machine)
        machine.start()
    token = token_of(machines[0], secret)
    load = Load(machines, token)
    time.sleep(SECONDS)

    load.begin("kill -9 of a replica")
    replicas[0].kill()
    time.sleep(SECONDS)
    load.begin("the replica comes back")
    replicas[0].start()
    time.sleep(SECONDS)
    load.begin("kill -9 of a web machine")
    machines[1].kill()
    time.sleep(SECONDS / 2)
    load.begin("the web machine comes back")
    machines[1].start()
    time.sleep(SECONDS / 2)
    load.begin("kill -9 of the primary, a replica promoted after 2 s")
    primary.kill()
    time.sleep(2)
    ahead = max(replicas, key=lambda one: one.ask("SELECT pg_last_wal_receive_lsn()::pg_lsn - '0/0'")[0][0])
    [other] = [one for one in replicas if one is not ahead]
    ahead.ask("SELECT pg_promote()")
    follow(other, ahead)
    time.sleep(SECONDS * 2)
    load.end()
    from_replicas = [reads_of_replicas(machine) for machine in machines]

    stored = dict(ahead.ask("SELECT external_id, (name->>'en')::int FROM segments_segment"))
    lost = sum(stored.get(name, 0) < number for name, number in load.acknowledged.items())
    print(f"PostgreSQL {ahead.ask('SHOW server_version')[0][0]}\n")
    print("| phase | requests | failed | longest outage s | wrong answers |\n|---|---|---|---|---|")
    for phase in load.phases:
        print(phase.line())
    print(f"Acknowledged writes lost: {lost} of {sum(load.acknowledged.values()):,}.")
    print(f"Requests read from replicas, by machine: {from_replicas}.")
    assert lost == 0
    assert sum(phase.wrong for phase in load.phases) == 0
    assert load.phases[-1].longest < 30

    if not shutil.which("pgbouncer"):
        print("PgBouncer is not installed: left out.")
        return
    for machine in machines:
        machine.kill()
    machines.clear()
    for mode in ("session", "transaction"):
        bouncer = Bouncer(ahead, folder, mode)
        try:
            machine = WebServer(
                workers=1,
                log=folder / f"web-{mode}.log",
                VAR_DIR=str(folder / f"var-{mode}"),
                DATABASE_URL=bouncer.url,
                DATABASE_PREPARE_AFTER="0",
            )
            machines.append(machine)
            machine.start()
            load = Load([machine], token)
            load.phases[0].name = f"PgBouncer, pool_mode = {mode}"
            time.sleep(SECONDS)
            load.end()
            print(load.phases[0].line())
            assert load.phases[0].failed == load.phases[0].wrong == 0
            journal = """SELECT count(*) FROM journal_change
                WHERE actor_type <> 'client' AND object = 'segment' AND at > now() - interval '5 s'"""
            print(f"Changes whose actor is not the client: {ahead.ask(journal)[0][0]}")
            machine.kill()
            machines.clear()
        finally:
            bouncer.stop()


if __name__ == "__main__":
    main()
