"""How many events a second one process delivers, to a target on this machine.

`python -m bench.deliveries [--events N] [--segments N]`. Exit status 1 when the target is missed, or when an
event of a segment overtook another. The target is a process of its own.
"""

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from ipaddress import ip_network

import django

os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="deliveries")
django.setup()

from django.conf import settings  # noqa: E402 -- needs the settings
from django.core.management import call_command  # noqa: E402

from bench.dataset.building import create_database, drop_database  # noqa: E402
from core.tenancy.models import Tenant  # noqa: E402
from events.delivering import Dispatcher  # noqa: E402
from events.models import Delivery, Event, Target, WebhookConfig  # noqa: E402
from events.operations import add_deliveries  # noqa: E402

LEAST = 800  # events a second
BATCH = 1_000
TYPE = "customer-segment.customer-assignment-created"
RECEIVER = """
import re, socket, sys, threading
server = socket.create_server(("127.0.0.1", 0), backlog=100)
print(server.getsockname()[1], flush=True)
last, late, lock = {}, 0, threading.Lock()
LENGTH = re.compile(rb"content-length: *(\\\\d+)", re.I)
PLACE = re.compile(rb'"number":(\\\\d+),"segmentId":"([^"]+)"')
def serve(connection):
    global late
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held = b""
    while True:
        while b"\\\\r\\\\n\\\\r\\\\n" not in held:
            more = connection.recv(65536)
            if not more:
                return
            held += more
        head, _, held = held.partition(b"\\\\r\\\\n\\\\r\\\\n")
        size = int(LENGTH.search(head)[1])
        while len(held) < size:
            held += connection.recv(65536)
        body, held = held[:size], held[size:]
        number, segment = PLACE.search(body).groups()
        with lock:
            late += int(number) < last.get(segment, -1)
            last[segment] = int(number)
        connection.sendall(b"HTTP/1.1 200 OK\\\\r\\\\nContent-Length: 0\\\\r\\\\n\\\\r\\\\n")
def watch():
    sys.stdin.readline()
    print(late, flush=True)
threading.Thread(target=watch, daemon=True).start()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
""".replace("\\\\", "\\")


def queue_events(tenant: Tenant, url: str, *, count: int, segments: int) -> None:
    """Make events of so many segments, as members are added to them by turns."""
    target = Target.objects.create(
        tenant=tenant, destination_url=url, event_type=TYPE, secret_key="bench", filter="$[?(@.tenant)]"
    )
    WebhookConfig.objects.create(tenant=tenant)
    at = datetime.now(UTC)
    for begin in range(0, count, BATCH):
        events = Event.objects.bulk_create(
            Event(
                tenant=tenant,
                type=TYPE,
                order_key=f"segment {number % segments}",
                payload={
                    "assignmentType": "B2C",
                    "customer": {
                        "id": f"C{number}",
                        "firstName": "Ann",
                        "lastName": "Example",
                        "email": f"ann{number}@example.com",
                    },
                    "segmentId": f"segment-{number % segments}",
                    "metadata": {"version": 1, "createdAt": "2026-01-01T00:00:00.000Z"},
                    "number": number,
                    "tenant": "bench",
                },
                occurred_at=at,
                tx=1,
                journal_id=number,
            )
            for number in range(begin, min(begin + BATCH, count))
        )
        rows = [(event.pk, target.pk, event.order_key) for event in events]
        add_deliveries(tenant_id=tenant.pk, rows=rows, at=at)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.deliveries", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="how many events (10000)")
    parser.add_argument("--segments", type=int, default=20, help="of how many segments (20)")
    options = parser.parse_args()
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    create_database()
    receiver = subprocess.Popen(
        [sys.executable, "-c", RECEIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdin is not None
    assert receiver.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/"
        call_command("migrate", interactive=False, verbosity=0)
        tenant = Tenant.objects.create(name="bench")
        queue_events(tenant, url, count=options.events, segments=options.segments)
        dispatcher = Dispatcher()
        begin, processor = time.perf_counter(), time.process_time()
        while dispatcher.run(datetime.now(UTC)) or dispatcher.in_flight:
            pass
        taken, on_processor = time.perf_counter() - begin, time.process_time() - processor
        delivered = Delivery.objects.filter(state="DELIVERED").count()
        receiver.stdin.write("\n")
        receiver.stdin.flush()
        late = int(receiver.stdout.readline())
    finally:
        receiver.kill()
        receiver.wait()
        drop_database()
    rate = delivered / on_processor
    sys.stdout.write(
        f"{delivered:,} of {options.events:,} events delivered over {options.segments} segments,"
        f" {late} out of order\n{rate:,.0f} a second on the sender's processor (at least {LEAST}),"
        f" {delivered / taken:,.0f} on the clock\n"
    )
    return int(rate < LEAST or late > 0 or delivered < options.events)


if __name__ == "__main__":
    sys.exit(main())
