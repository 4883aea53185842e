"""What partitioning memberships takes, and what it makes quicker and slower (docs/large-tables.md).

`python -m bench.partitioning [--rows N]`. Reads and writes run by turns in a database with the plain table
and in one with 16 partitions; the time is that of the process and its backend on the processor. Both
databases are dropped afterwards.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

import django

os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="partitioning")
django.setup()

from django.core.management import call_command  # noqa: E402 -- needs the settings
from django.db import connection, transaction  # noqa: E402
from psycopg.sql import SQL, Identifier  # noqa: E402

from accounts.models import Site  # noqa: E402
from bench.dataset.building import create_database, drop_database  # noqa: E402
from bench.dataset.rows import indexes_built_afterwards  # noqa: E402
from bench.journal import on_processor  # noqa: E402
from bench.rules import CUSTOMERS  # noqa: E402
from core.sql.composition import param  # noqa: E402
from core.sql.fetching import fetch_rows  # noqa: E402
from core.tenancy.models import Tenant  # noqa: E402
from segments.bodies import CustomerAssignmentBody, Member  # noqa: E402
from segments.models import CustomerAssignment, Segment  # noqa: E402
from segments.operations.customers import (  # noqa: E402
    delete_customer_assignments,
    upsert_customer_assignments,
)
from segments.partitioning import partition_memberships  # noqa: E402
from segments.visibility import segments_of_member  # noqa: E402

AT = datetime(2026, 3, 4, tzinfo=UTC)
SEGMENTS = 10  # of each customer
BATCH = 200
ROUNDS = 7
MEMBERS = """
INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, assignment_type, version,
    created_at, modified_at)
SELECT tenant_id, %s, id, 'MANUAL', 1, now(), now() FROM accounts_customer ORDER BY id
"""


def make_shop(customers: int) -> None:
    tenant = Tenant.objects.create(name="bench")
    site = Site.objects.create(tenant=tenant, code="main", name="Main")
    segments = [
        Segment.objects.create(tenant=tenant, site=site, external_id=name, name={"en": name}, status="ACTIVE")
        for name in ("spare", *(f"S{number}" for number in range(SEGMENTS)))
    ]
    with transaction.atomic(), indexes_built_afterwards(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
        cursor.execute(CUSTOMERS, [tenant.pk, customers])
        for segment in segments[1:]:
            cursor.execute(MEMBERS, [segment.pk])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def cases(tenant_id: int, customers: int) -> dict[str, tuple[int, Callable[[int], object]]]:
    """Return what is measured: how often in a round, and what a number of the run does."""
    first, last = (
        CustomerAssignment.objects.filter(tenant=tenant_id)
        .values_list("customer_id")
        .order_by("customer_id")[0 : customers : max(customers - 1, 1)]
    )
    segment = Segment.objects.get(external_id="S3").pk
    spare = {"tenant_id": tenant_id, "segment_id": "spare"}

    def names(run: int) -> list[str]:
        return [f"C{(run * BATCH + one) % customers + 1}" for one in range(BATCH)]

    def read(run: int) -> object:
        customer = param(first[0] + run * 7919 % (last[0] - first[0] + 1), "bigint")
        member = segments_of_member(tenant_id, customer=customer, legal_entity=param(None, "bigint"), at=AT)
        return fetch_rows(member, prepared=True)

    def write(run: int) -> object:
        rows = [CustomerAssignmentBody(customer_id=name) for name in names(run)]
        return upsert_customer_assignments(**spare, rows=rows, at=AT)

    def remove(run: int) -> object:
        members = [Member(name, None) for name in names(run)]
        return delete_customer_assignments(**spare, members=members)

    def page(run: int) -> object:
        rows = CustomerAssignment.objects.filter(tenant=tenant_id, segment=segment).order_by("id")
        return list(rows.values_list("id", "customer_id")[:60])

    return {
        "segments of a customer": (500, read),
        "page of 60 members of a segment": (100, page),
        "add 200 members": (15, write),
        "update 200 members": (15, write),
        "remove 200 members": (15, remove),
    }


def measure(databases: dict[str, str], customers: int) -> None:
    taken: dict[str, dict[str, list[float]]] = {}
    for _ in range(ROUNDS):
        for kind, name in databases.items():
            connection.close()
            connection.settings_dict["NAME"] = name
            tenant = Tenant.objects.get()
            for case, (repeats, run) in cases(tenant.pk, customers).items():
                if not case.startswith(("add", "update", "remove")):
                    for number in range(10):
                        run(number)
                began = on_processor()
                for number in range(repeats):
                    run(number)
                taken.setdefault(case, {}).setdefault(kind, []).append((on_processor() - began) / repeats)
    print("| what | plain ms | partitioned ms | ratio |\n|---|---|---|---|")
    for case, found in taken.items():
        plain, partitioned = median(found["plain"]), median(found["partitioned"])
        print(f"| {case} | {1e3 * plain:.2f} | {1e3 * partitioned:.2f} | {partitioned / plain:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.partitioning", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    customers = parser.parse_args().rows // SEGMENTS
    plain = connection.settings_dict["NAME"]
    partitioned = f"{plain}_partitioned"
    create_database()
    call_command("migrate", interactive=False, verbosity=0)
    make_shop(customers)
    connection.close()
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(partitioned)))
        cursor.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(partitioned), Identifier(plain))
        )
    try:
        connection.settings_dict["NAME"] = partitioned
        began = time.monotonic()
        partition_memberships(
            None, tell=lambda text: print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr)
        )
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE segments_customerassignment")
        measure({"plain": plain, "partitioned": partitioned}, customers)
    finally:
        for name in (partitioned, plain):
            connection.settings_dict["NAME"] = name
            drop_database()


if __name__ == "__main__":
    main()
