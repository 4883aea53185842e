"""How long the database takes to read histories: 10,000,000 memberships, 1,000,000 rows of the journal.

`python -m bench.histories [--customers N] [--keep] [--plans]`, with ten memberships and one other change for
each customer. Each request is sent through the whole project; its statements that read the journal are then
explained with ANALYZE, as they are sent: those whose plan is kept with the plan for all values. Exit status 1
when a target is missed. The database is one of its own and is dropped afterwards, unless `--keep`; one that
is there is used again.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import django

os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="histories", ACCESS_LOG="0")
django.setup()

from django.conf import settings  # noqa: E402 -- needs the settings
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from psycopg import ClientCursor  # noqa: E402

from accounts.models import Site, User  # noqa: E402
from bench.dataset.building import create_database, database_exists, drop_database  # noqa: E402
from bench.dataset.rows import indexes_built_afterwards  # noqa: E402
from bench.journal import Api  # noqa: E402
from bench.rules import CUSTOMERS  # noqa: E402
from core.journal.models import Beginning  # noqa: E402
from core.journal.partitions import make_partitions  # noqa: E402
from core.json_types import JsonObject  # noqa: E402
from core.sql.fetching import AttributedServerCursor  # noqa: E402
from core.tenancy.models import Tenant  # noqa: E402
from core.timestamps import format_time  # noqa: E402
from segments.models import CustomerAssignment, Segment  # noqa: E402

TENANT = "bench"
SEGMENTS = 4_000
PLACES = 10  # segments of a customer
MOST = 10.0  # milliseconds
ROUNDS = 5
PLAIN_FILES = "django.contrib.staticfiles.storage.StaticFilesStorage"
YEAR = timedelta(days=365)
# A customer's segments are 7 * customer + 401 * place, modulo the number of segments.
MEMBERS = """
INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, assignment_type, version,
    created_at, modified_at)
SELECT %(tenant)s, %(first)s + (7 * number + 401 * place) %% %(segments)s, customer.id, 'MANUAL', 1,
    now(), now()
FROM generate_series(0, %(places)s - 1) AS place CROSS JOIN accounts_customer AS customer
CROSS JOIN LATERAL (SELECT substr(customer.external_id, 2)::bigint AS number) AS named
"""
# One change for each segment and place: some 250 customers, who lie apart. All others are documents.
CHANGES = """
INSERT INTO journal_change (at, tenant_id, kind, object, key, owner_key, external_id, keys, count, before,
    after, actor_type, actor_id, actor_name, source_type, source_id)
SELECT %(begin)s + made.part * (%(end)s - %(begin)s), %(tenant)s, made.kind, made.object, made.key,
    made.owner_key, made.external_id, made.keys, made.count, made.before, made.after,
    CASE WHEN made.number %% 10 = 0 THEN 'staff' WHEN made.number %% 10 = 1 THEN 'command' ELSE 'client' END,
    CASE WHEN made.number %% 10 = 0 THEN 'person-' || made.number / 10 %% 20
        WHEN made.number %% 10 = 1 THEN 'upsert_customers' ELSE 'shop' END, '',
    CASE WHEN made.number %% 10 = 0 THEN 'admin' WHEN made.number %% 10 = 1 THEN 'import' ELSE 'request' END,
    CASE WHEN made.number %% 10 = 1 THEN (made.number / 200000)::text ELSE md5(made.number::text) END
FROM (
    SELECT held.number, held.part, 'created' AS kind, 'segment-customer' AS object, held.segment AS key,
        NULL::bigint AS owner_key, 's' || held.segment - %(first)s AS external_id, held.keys, held.count,
        NULL::jsonb AS before, NULL::jsonb AS after
    FROM (
        SELECT member.segment_id AS segment,
            (member.customer_id - %(customer)s) / (%(customers)s / 10) AS slice,
            row_number() OVER () AS number, random() AS part, count(*) AS count,
            range_agg(int8range(member.customer_id, member.customer_id, '[]')) AS keys
        FROM segments_customerassignment AS member GROUP BY 1, 2
    ) AS held
    UNION ALL
    SELECT number, number::float / %(documents)s,
        CASE WHEN number %% 10 < 4 THEN 'updated' ELSE 'created' END,
        named.object, number, CASE WHEN named.object = 'redemption' THEN number %% 1000 END,
        CASE WHEN named.object = 'segment-rule' THEN 's' || number %% %(segments)s
            ELSE left(named.object, 1) || number END,
        NULL, 1, CASE WHEN number %% 10 < 4 THEN jsonb_build_object('name', 'Name ' || number) END,
        jsonb_build_object('name', 'Name ' || number + 1, 'version', number %% 9)
    FROM generate_series(1::bigint, %(documents)s) AS number CROSS JOIN LATERAL (
        SELECT CASE WHEN number %% 10 < 4 THEN 'customer' WHEN number %% 10 < 7 THEN 'redemption'
            WHEN number %% 10 = 7 THEN 'coupon' WHEN number %% 100 = 8 THEN 'segment'
            WHEN number %% 100 = 18 THEN 'segment-rule' WHEN number %% 10 = 8 THEN 'product'
            ELSE 'category-number' END AS object
    ) AS named
) AS made ORDER BY made.part
"""


def make_shop(customers: int) -> None:
    tenant = Tenant.objects.create(name=TENANT)
    site = Site.objects.create(tenant=tenant, code="main", name="Main")
    User.objects.create_superuser("bench", tenant=tenant)
    end = datetime.now(UTC)
    make_partitions(end - YEAR, months_ahead=12)
    with transaction.atomic(), indexes_built_afterwards(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(CUSTOMERS, [tenant.pk, customers])
        Segment.objects.bulk_create(
            Segment(tenant=tenant, site=site, external_id=f"s{number}", name={"en": "S"}, status="ACTIVE")
            for number in range(SEGMENTS)
        )
        cursor.execute("SELECT min(id) FROM segments_segment")
        [first] = cursor.fetchone()
        cursor.execute("SELECT min(id) FROM accounts_customer")
        [customer] = cursor.fetchone()
        values = {
            "tenant": tenant.pk,
            "first": first,
            "segments": SEGMENTS,
            "places": PLACES,
            "customer": customer,
            "customers": customers,
            "documents": customers - SEGMENTS * PLACES,
            "begin": end - YEAR,
            "end": end,
        }
        cursor.execute(MEMBERS, values)
        cursor.execute(CHANGES, values)
    Beginning.objects.update(at=end - YEAR)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


# What is asked


def requests(customers: int) -> list[tuple[str, Callable[[], Any]]]:
    """Return what is read, by name: each a request of its own whenever it is called."""
    api = Api(Tenant.objects.get(name=TENANT))
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": PLAIN_FILES},
    }  # none are collected here
    staff = Client(HTTP_HOST="127.0.0.1")
    staff.force_login(User.objects.get(username="bench"))
    then = format_time(datetime.now(UTC) - YEAR / 100)
    base = f"/customer-segment/{TENANT}"
    number = customers // 3
    member = f"segments/s{7 * number % SEGMENTS}"
    keys = {
        "segment": key_of("segments_segment", member.removeprefix("segments/")),
        "customer": key_of("accounts_customer", f"C{number}"),
    }
    held = CustomerAssignment.objects.filter(segment=keys["segment"], customer=keys["customer"])
    keys["member"] = held.values_list("pk", flat=True).get()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source_id FROM journal_change WHERE source_type = 'request' ORDER BY id DESC LIMIT 1"
        )
        [request] = cursor.fetchone()

    def get(client: Client, path: str) -> Callable[[], Any]:
        return lambda: client.get(path)

    asked = {
        "history of one member": f"{member}/history?customerId=C{number}",
        "history of a segment": f"{member}/history",
        "member on that date": f"segments?customerId=C{number}&q=id:{member[9:]}&asOf={then}",
        "segments of a customer on that date": f"segments?customerId=C{number}&asOf={then}",
        "changes": "changes",
        "changes of a request": f"changes?sourceId={request}",
        "changes of an import": "changes?sourceId=2",
        "changes by a program": "changes?actorId=shop",
        "changes of one object": f"changes?objectId=c{number}",
    }
    pages = {
        "Activity": "/admin/journal/change/",
        "Activity of a person": "/admin/journal/change/?q=person-3",
        "Activity of an import": "/admin/journal/change/?q=2",
        "Activity by programs": "/admin/journal/change/?by=client",
        "Activity of the last day": "/admin/journal/change/?when=1",
        "Activity of segments": "/admin/journal/change/?what=segment",
        "History of a segment": f"/admin/segments/segment/{keys['segment']}/history/",
        "History of a member": f"/admin/segments/customerassignment/{keys['member']}/history/",
        "History of a customer": f"/admin/accounts/customer/{keys['customer']}/history/",
    }
    return [(name, get(api.client, f"{base}/{path}")) for name, path in asked.items()] + [
        (f"page {name}", get(staff, path)) for name, path in pages.items()
    ]


def key_of(table: str, name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} WHERE external_id = %s", [name])
        key: int = cursor.fetchone()[0]
    return key


# How long it takes


def statements_of(request: Callable[[], Any]) -> list[tuple[str, Any, bool]]:
    """Send a request; return its statements that read the journal, and whether their plans are kept."""
    found: list[tuple[str, Any, bool]] = []

    def note(execute: Any, text: str, values: Any, many: bool, context: JsonObject) -> Any:
        if "journal_change" in text:
            found.append((text, values, isinstance(context["cursor"].cursor, AttributedServerCursor)))
        return execute(text, values, many, context)

    with connection.execute_wrapper(note):
        answer = request()
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code} {answer.content[:500]!r}")
    return found


def explained(statement: tuple[str, Any, bool], form: str = "JSON") -> Any:
    """Run a statement; return what PostgreSQL says of it."""
    text, values, is_kept = statement
    quoted = ClientCursor(connection.connection)
    explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING {'OFF' if form == 'JSON' else 'ON'}, FORMAT {form})"
    with transaction.atomic(), connection.cursor() as cursor:
        if not is_kept:
            cursor.execute(f"{explain} {quoted.mogrify(text, values)}".replace("%", "%%"), [])
            return cursor.fetchall()
        numbers = iter(range(1, 1_000))
        numbered = re.sub("%s", lambda _: f"${next(numbers)}", text)
        literals = ", ".join(quoted.mogrify("%s", [value]) for value in values)
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE hot AS {numbered}".replace("%", "%%"), [])
        cursor.execute(f"{explain} EXECUTE hot ({literals})".replace("%", "%%"), [])
        rows = cursor.fetchall()
        cursor.execute("DEALLOCATE hot")
        return rows


def milliseconds_of(statement: tuple[str, Any, bool]) -> float:
    """Return how long the statement runs: the median of some times, after one that fills the cache."""
    taken = []
    for _ in range(ROUNDS + 1):
        [[found]] = explained(statement)
        [plan] = json.loads(found) if isinstance(found, str) else found
        taken.append(float(plan["Execution Time"]))
    return median(taken[1:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.histories", description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000, help="customers of the shop (1000000)")
    parser.add_argument("--keep", action="store_true", help="keep the database")
    parser.add_argument("--only", metavar="TEXT", default="", help="requests whose name holds TEXT")
    parser.add_argument("--plans", action="store_true", help="show the plans of what takes too long")
    options = parser.parse_args()
    missed = False
    try:
        if not database_exists():
            create_database()
            call_command("migrate", interactive=False, verbosity=0)
            make_shop(options.customers)
        for name, request in requests(options.customers):
            if options.only not in name:
                continue
            statements = statements_of(request)
            times = [milliseconds_of(one) for one in statements]
            verdict = "" if sum(times) <= MOST else "  missed"
            missed = missed or bool(verdict)
            number = f"{len(times)} statement{'s' if len(times) != 1 else ''}"
            sys.stdout.write(f"{name:<40}{sum(times):>9.2f} ms of {number:<14} at most {MOST:.0f}{verdict}\n")
            sys.stdout.flush()
            if verdict and options.plans:
                slowest = statements[times.index(max(times))]
                sys.stdout.write(f"{slowest[0]}\n{slowest[1]}\n")
                sys.stdout.writelines(f"{line}\n" for [line] in explained(slowest, "TEXT"))
    finally:
        if not options.keep:
            drop_database()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
