"""What feeds cost: writes of a tenant without subscriptions, an import beside the reader, and the fan-out.

`python -m bench.feed [--rows N]`. Exit status 1 when a target is missed. Compared is the time on the
processor of this process and of its connection's backend, as in `bench.journal`. The reader has a process of
its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import django

SCALE = "feed"
os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE=SCALE)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from accounts.models import Customer  # noqa: E402
from bench.dataset.building import create_database, drop_database  # noqa: E402 -- needs the settings
from bench.journal import (  # noqa: E402
    CUSTOMERS,
    SEGMENTS,
    Api,
    importing,
    make_customers,
    make_shop,
    on_processor,
    requests,
)
from core.tenancy.models import Tenant  # noqa: E402
from events.feed.reader import read_feeds, start_feed, waiting_since  # noqa: E402
from events.models import Event, Subscription, Target, WebhookConfig  # noqa: E402
from segments.models import Segment  # noqa: E402

CREATED = "customer-segment.customer-assignment-created"
WITHOUT_SUBSCRIPTION, BESIDE_READER = 1.02, 1.15
FAN_OUT = 5_000  # events a second
ROUNDS = 12
INDEX = "CREATE INDEX journal_of_commit ON journal_change_settled (tenant_id, tx, id)"
WRITES = 2_000  # in a half of a round
ONE_ROW = f"""DO $$ BEGIN FOR number IN 1..{WRITES} LOOP
    UPDATE accounts_customer SET first_name = clock_timestamp()::text WHERE id = {{first}} + number % 1000;
END LOOP; END $$"""
BATCH = 200
BATCHES = f"""DO $$ BEGIN
FOR turn IN 1..5 LOOP
    FOR number IN 0..19 LOOP
        INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, assignment_type, version,
            created_at, modified_at)
        SELECT tenant_id, {{segment}}, id, 'MANUAL', 1, now(), now() FROM accounts_customer
        WHERE id >= {{first}} + number * {BATCH} ORDER BY id LIMIT {BATCH};
    END LOOP;
    DELETE FROM segments_customerassignment WHERE segment_id = {{segment}};
END LOOP;
END $$"""
READER = """
import os, sys, time, django
django.setup()
from datetime import UTC, datetime
from config.server.background import LESS_URGENT
from events.feed.reader import read_feeds
os.nice(LESS_URGENT)
print("ready", flush=True)
while os.getppid() == int(sys.argv[1]):
    if not read_feeds(datetime.now(UTC)):
        time.sleep(0.5)
"""


@contextmanager
def feed_index(*, on: bool):
    """Have the index that only readers of feeds need, or not."""
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX IF EXISTS journal_of_commit")
        if on:
            cursor.execute(INDEX)
    yield


def compare(statements: str) -> float:
    """Return what writes without a feed take, relative to a database without the index of feeds.

    All else that feeds need is not touched by writers. The statements run in the server, since a request
    takes thousands of times as long as one more entry in an index. The quickest rounds are compared: others
    on the machine only add to them.
    """
    taken: dict[bool, list[float]] = {True: [], False: []}
    with connection.cursor() as cursor:
        for number in range(ROUNDS):
            for on in (number % 2 == 0, number % 2 == 1):
                with feed_index(on=on):
                    cursor.execute(statements)  # plans it anew
                    taken[on].append(timed(lambda: cursor.execute(statements))[0])
    return min(taken[True]) / min(taken[False])


@contextmanager
def reader():
    """Read feeds in a process of its own meanwhile."""
    words = [sys.executable, "-c", READER, str(os.getpid())]
    environ = {**os.environ, "BENCH_SCALE": SCALE}  # bench.journal has its own
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environ)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.wait()


def subscribe(tenant: Tenant) -> None:
    WebhookConfig.objects.create(tenant=tenant)
    Target.objects.create(tenant=tenant, destination_url="https://localhost/")
    Subscription.objects.create(tenant=tenant, event_type=CREATED)
    start_feed(tenant.pk, at=datetime.now(UTC))


def unsubscribe(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 0")  # a reader that was killed ends its statement first
        cursor.execute("DELETE FROM events_subscription")
        cursor.execute("DELETE FROM events_feedposition")
        cursor.execute(
            "TRUNCATE events_delivery, events_lane, events_event, events_sendingbyhand, events_target"
        )
        cursor.execute("DELETE FROM events_webhookconfig")


def timed(act) -> tuple[float, float]:
    """Return the seconds on the processor and on the clock that it takes."""
    wall, processor = time.perf_counter(), on_processor()
    act()
    return on_processor() - processor, time.perf_counter() - wall


def report(name: str, value: float, bound: str, *, is_met: bool, more: str = "") -> bool:
    verdict = "" if is_met else "  missed"
    sys.stdout.write(f"{name:<58}{value:>10,.3f}   {bound}{verdict}{more}\n")
    sys.stdout.flush()
    return is_met


def measure_writes(tenant: Tenant) -> bool:
    first = Customer.objects.order_by("pk").values_list("pk", flat=True)[0]
    segment = Segment.objects.order_by("pk").values_list("pk", flat=True)[0]
    met = []
    for name, statements in {"change of a row": ONE_ROW, f"{BATCH} new members": BATCHES}.items():
        ratio = compare(statements.format(first=first, segment=segment))
        is_met = ratio <= WITHOUT_SUBSCRIPTION
        met.append(
            report(f"{name}, tenant without feed", ratio, f"at most {WITHOUT_SUBSCRIPTION}", is_met=is_met)
        )
    return all(met)


def measure_import(tenant: Tenant, path: Path, rows: int, rounds: int) -> bool:
    case = importing(path, rows)
    bare, beside = [], []
    for _ in range(rounds):
        unsubscribe(tenant)
        bare.append(timed(lambda: case.run(0)))
        subscribe(tenant)
        with reader():
            beside.append(timed(lambda: case.run(0)))
    ratio, on_clock = (
        median(pair[place] for pair in beside) / median(pair[place] for pair in bare) for place in (0, 1)
    )
    is_met = report(
        f"import of {rows:,} customers beside the reader",
        ratio,
        f"at most {BESIDE_READER}",
        is_met=ratio <= BESIDE_READER,
        more=f"   ({on_clock:.3f} on the clock, {median(pair[1] for pair in beside):.1f} s)",
    )
    unsubscribe(tenant)
    subscribe(tenant)
    case.run(0)

    def drain() -> None:
        while read_feeds(datetime.now(UTC)) or waiting_since(datetime.now(UTC)):
            pass

    processor, clock = timed(drain)
    made = Event.objects.count()
    rate = made / processor
    return (
        report(
            f"fan-out, events a second of {made:,}",
            rate,
            f"at least {FAN_OUT:,}",
            is_met=rate >= FAN_OUT,
            more=f"   ({made / clock:,.0f} on the clock)",
        )
        and is_met
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.feed", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the imported file (1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="imports with and without a reader (3)")
    parser.add_argument("--only", choices=["writes", "import"], help="only these rows")
    options = parser.parse_args()
    create_database()
    met = []
    try:
        call_command("migrate", interactive=False, verbosity=0)
        tenant = make_shop()
        make_customers(tenant, CUSTOMERS)
        requests(Api(tenant))  # which makes the segments
        if options.only != "import":
            met.append(measure_writes(tenant))
        if options.only != "writes":
            make_customers(tenant, options.rows // SEGMENTS + 1)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "members.csv"
                met.append(measure_import(tenant, path, options.rows, options.rounds))
    finally:
        drop_database()
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
