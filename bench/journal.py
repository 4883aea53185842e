"""What the journal's triggers cost callers: requests and imports alternate with and without them in one run.

`python -m bench.journal [--rows N]`. Exit status 1 when a target is missed. The requests run in this process,
on an empty database of their own. Compared is the time on the processor of this process and of its
connection's backend, as Linux counts it: others on the machine do not change that much. With `--served` the
requests go to a web server over HTTP, one at a time, and the clock decides, as for a caller: that counts the
server's part and the wait until the commit is on disk, and needs a machine with nothing else to do.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import django

os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="journal", ACCESS_LOG="0")
django.setup()

from django.core.management import call_command  # noqa: E402 -- needs the settings
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.identity.models import ApiClient  # noqa: E402
from accounts.identity.scopes import SERVICE_SCOPES  # noqa: E402
from accounts.identity.tokens import issue_access_token  # noqa: E402
from accounts.models import Customer, Site  # noqa: E402
from bench.dataset.building import create_database, drop_database  # noqa: E402
from bench.load import HOST  # noqa: E402
from bench.server import Server  # noqa: E402
from config.database import database_settings  # noqa: E402
from config.settings import BASE_DIR  # noqa: E402
from core.tenancy.callers import CallerKind  # noqa: E402
from core.tenancy.models import Tenant  # noqa: E402

TENANT = "bench"
BATCH, BATCHES = 200, 20
CUSTOMERS = BATCH * BATCHES
ROUNDS = 96  # of two halves each: many and short, since the speed of a shared machine goes up and down
REQUESTS = 10  # in a half
WARM_UP = 6  # a statement on a changed table is planned anew, five times before its plan is kept
IMPORTS = 5
SEGMENTS = 100
TABLES = (
    "accounts_customer",
    "catalog_category",
    "coupons_coupon",
    "coupons_redemption",
    "segments_customerassignment",
    "segments_segment",
)
FEW_ROWS, ONE_ROW = 1.15, 1.05
numbers = count(1)


@dataclass(frozen=True)
class Case:
    """A write. `prepare` runs before each half and is not measured."""

    name: str
    most: float
    run: Callable[[int], object]
    prepare: Callable[[], object] = lambda: None
    rounds: int = ROUNDS
    repeats: int = REQUESTS
    warm_up: int = WARM_UP
    is_command: bool = False


class Api:
    """Sends requests with a token of all scopes: in this process, or to a web server over one connection."""

    def __init__(self, tenant: Tenant, server: Server | None = None) -> None:
        client, _ = ApiClient.objects.get_or_create(tenant=tenant, client_id="bench", defaults={"scopes": []})
        token = issue_access_token(
            tenant=tenant,
            kind=CallerKind.SERVICE,
            client_id=client.client_id,
            scopes=SERVICE_SCOPES,
            at=datetime.now(UTC),
            lifetime=86_400,
        )
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.client = Client(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_HOST="127.0.0.1")
        self.connection = server and http.client.HTTPConnection(HOST, server.port)

    def send(self, method: str, path: str, body: Any) -> None:
        if self.connection:
            self.connection.request(method.upper(), path, json.dumps(body), self.headers)
            response = self.connection.getresponse()
            content = response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {content[:500]!r}")
            return
        answer = getattr(self.client, method)(path, data=body, content_type="application/json")
        if answer.status_code >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.content[:500]!r}")


def on_processor() -> float:
    """Return the seconds that this process and its backend had a processor."""
    pid = connection.connection.info.backend_pid
    nanoseconds = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return time.process_time() + nanoseconds / 1e9


@contextmanager
def connected_as_web_worker() -> Iterator[None]:
    """Keep the plans of statements, as web workers do: planning each would hide what triggers take."""
    of_command = connection.settings_dict["OPTIONS"]
    of_web_worker = database_settings({**os.environ, "SERVICE_ROLE": "web"}, BASE_DIR)["default"]["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = of_web_worker
    yield
    connection.close()
    connection.settings_dict["OPTIONS"] = of_command


@contextmanager
def triggers(*, on: bool) -> Iterator[None]:
    """Switch the triggers of the journal on or off; those of foreign keys stay."""
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} {'ENABLE' if on else 'DISABLE'} TRIGGER USER")
    yield


def seconds(case: Case, now: Callable[[], float], *, on: bool) -> float:
    """Return what one run of the case takes in one half of a round."""
    case.prepare()
    with triggers(on=on):
        for _ in range(case.warm_up):
            case.run(next(numbers))
        began = now()
        for _ in range(case.repeats):
            case.run(next(numbers))
        return (now() - began) / case.repeats


def measure(case: Case, now: Callable[[], float]) -> tuple[float, float, float]:
    """Return the milliseconds without and with triggers, and the ratio of both, medians of all rounds."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    with nullcontext() if case.is_command else connected_as_web_worker():
        for number in range(case.rounds):
            for on in (number % 2 == 0, number % 2 == 1):
                taken[on].append(seconds(case, now, on=on))
    ratios = (recorded / bare for bare, recorded in zip(taken[False], taken[True], strict=True))
    return 1e3 * median(taken[False]), 1e3 * median(taken[True]), median(ratios)


def make_shop() -> Tenant:
    tenant = Tenant.objects.create(name=TENANT)
    Site.objects.create(tenant=tenant, code="main", name="Main")
    return tenant


def make_customers(tenant: Tenant, number: int) -> None:
    present = Customer.objects.count()
    for start in range(present, number, 1_000):
        Customer.objects.bulk_create(
            Customer(tenant=tenant, external_id=f"customer-{number}", email=f"c{number}@example.com")
            for number in range(start, min(start + 1_000, number))
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_customer, segments_customerassignment, segments_segment")


def remove_members() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE segments_customerassignment")


def requests(api: Api) -> list[Case]:
    members = f"/customer-segment/{TENANT}/segments/segment-0/customers/bulk"
    body = {"name": {"en": "S"}, "siteCode": "main", "status": "ACTIVE"}
    for number in range(SEGMENTS):
        api.send("put", f"/customer-segment/{TENANT}/segments/segment-{number}", body)
    for name in ("top", "left", "right", "moved"):
        parent = {"parentId": "top"} if name != "top" else {}
        body = {"localizedName": {"en": name}, "published": True, **parent}
        api.send("put", f"/category/{TENANT}/categories/{name}", body)
    coupon = {"code": "SALE", "name": "Sale", "discountType": "PERCENT", "discountPercentage": 5}
    api.send("post", f"/coupon/{TENANT}/coupons", coupon)

    def batch(run: int, *, mixins: Any = None) -> None:
        first = run % BATCHES * BATCH
        rows = [{"customerId": f"customer-{number}"} for number in range(first, first + BATCH)]
        api.send("put", members, [{**row, "mixins": mixins} for row in rows] if mixins else rows)

    def fill() -> None:
        for run in range(BATCHES):
            batch(run)

    def redeem(run: int) -> None:
        money = {
            "orderTotal": {"amount": 90, "currency": "EUR"},
            "discount": {"amount": 1, "currency": "EUR"},
        }
        redemption = {"customerNumber": f"customer-{run % CUSTOMERS}", **money}
        api.send("post", f"/coupon/{TENANT}/coupons/SALE/redemptions", redemption)

    def move(run: int) -> None:
        parent = {"parentId": ("left", "right")[run % 2]}
        api.send("patch", f"/category/{TENANT}/categories/moved", parent)

    def patch(run: int) -> None:
        api.send(
            "patch", f"/customer/{TENANT}/customers/customer-{run % CUSTOMERS}", {"firstName": f"N{run}"}
        )

    # after the warm-up, so many batches are new
    added = Case("add 200 customers", FEW_ROWS, batch, remove_members, repeats=BATCHES - WARM_UP)
    return [
        added,
        Case("update 200 customers", FEW_ROWS, lambda run: batch(run, mixins={"run": run}), fill),
        Case("move a category", ONE_ROW, move),
        Case("patch a customer", ONE_ROW, patch),
        Case("redeem a coupon", ONE_ROW, redeem),
    ]


def importing(path: Path, rows: int) -> Case:
    """The import of a file of so many members, in no order."""
    query = (
        f"COPY (SELECT 'segment-' || number % {SEGMENTS}, 'customer-' || number / {SEGMENTS}"
        f" FROM generate_series(0, {rows - 1}) AS number ORDER BY md5(number::text)) TO STDOUT (FORMAT csv)"
    )
    with path.open("wb") as file, connection.cursor() as cursor, cursor.copy(query) as parts:
        file.write(b"segmentId,customerId\n")
        for part in parts:
            file.write(part)

    def run(number: int) -> None:
        remove_members()
        output = StringIO()
        call_command("upsert_segment_customers", str(path), "--tenant", TENANT, stdout=output, stderr=output)

    return Case(
        f"import {rows:,} customers", FEW_ROWS, run, rounds=IMPORTS, repeats=1, warm_up=0, is_command=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the imported file (1000000)")
    parser.add_argument("--only", metavar="TEXT", default="", help="cases whose name holds TEXT")
    parser.add_argument("--served", action="store_true", help="over HTTP and by the clock; no import")
    options = parser.parse_args()
    create_database()
    missed = False
    try:
        call_command("migrate", interactive=False, verbosity=0)
        tenant = make_shop()
        make_customers(tenant, CUSTOMERS)
        now = time.perf_counter if options.served else on_processor
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            server = stack.enter_context(Server(Path(folder))) if options.served else None
            cases = requests(Api(tenant, server))
            for case in cases if server else [*cases, None]:
                if case is None:
                    make_customers(tenant, options.rows // SEGMENTS + 1)
                    case = importing(Path(folder) / "members.csv", options.rows)
                if options.only not in case.name:
                    continue
                bare, recorded, ratio = measure(case, now)
                verdict = "" if ratio <= case.most else "  missed"
                missed = missed or bool(verdict)
                figures = f"{bare:>10.2f} ms{recorded:>10.2f} ms{ratio:>7.3f}"
                sys.stdout.write(f"{case.name:<32}{figures}   at most {case.most}{verdict}\n")
                sys.stdout.flush()
    finally:
        drop_database()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
