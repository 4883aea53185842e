"""Imports a file and lets psql do the same, in turns, and compares the quickest of each."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from accounts.models import Customer, Site
from bench.dataset.building import create_database, drop_database
from bench.results import FILE, load_results
from core.tenancy.models import Tenant
from segments.models import Segment

PROJECT = Path(__file__).resolve().parents[2]
TENANT = "bench"
CUSTOMERS, SEGMENTS, MEMBERSHIPS_EACH = 100_000, 100, 10
ROUNDS = 2
ROWS_AT_ONCE = 1_000
ROWS = f"""
COPY (
    SELECT 'segment-' || (customer + membership * 37) % {SEGMENTS}, 'customer-' || customer
    FROM generate_series(0, {CUSTOMERS - 1}) AS customer,
        generate_series(1, {MEMBERSHIPS_EACH}) AS membership
    ORDER BY md5(customer || ' ' || membership)
) TO STDOUT WITH (FORMAT csv)
"""
MOST = {"import / psql": 1.5, "again / import": 0.4, "megabytes": 300.0}
MERGE = """
BEGIN;
CREATE TEMPORARY TABLE given (segment text, customer text) ON COMMIT DROP;
\\copy given FROM '{path}' WITH (FORMAT csv, HEADER)
ANALYZE given;
INSERT INTO segments_customerassignment AS stored (tenant_id, segment_id, customer_id, legal_entity_id,
    assignment_type, valid_from, valid_to, mixins, mixin_schemas, version, created_at, modified_at)
SELECT tenant.id, segment.id, customer.id, NULL, 'MANUAL', NULL, NULL, '{{}}', '{{}}', 1, now(), now()
FROM given JOIN tenancy_tenant AS tenant ON tenant.name = 'bench'
JOIN segments_segment AS segment ON segment.tenant_id = tenant.id AND segment.external_id = given.segment
JOIN accounts_customer AS customer ON customer.tenant_id = tenant.id AND customer.external_id = given.customer
ORDER BY tenant.id, segment.id, customer.id
ON CONFLICT (tenant_id, segment_id, customer_id, legal_entity_id) DO UPDATE
SET mixins = excluded.mixins, version = stored.version + 1, modified_at = excluded.modified_at
WHERE (stored.valid_from, stored.valid_to, stored.mixins) IS DISTINCT FROM
    (excluded.valid_from, excluded.valid_to, excluded.mixins);
COMMIT;
"""


def main(*, save: bool) -> int:
    """Measure, print and perhaps save the results; return 1 when a target is missed."""
    measured = measure()
    ratios = {
        "import / psql": measured["import"] / measured["psql"],
        "again / import": measured["again"] / measured["import"],
        "megabytes": measured["megabytes"],
    }
    print(
        f"{CUSTOMERS * MEMBERSHIPS_EACH:,} memberships: psql {measured['psql']:.1f} s,"
        f" import {measured['import']:.1f} s, the same file again {measured['again']:.1f} s."
    )
    for name, most in MOST.items():
        verdict = "" if ratios[name] <= most else "  missed"
        print(f"{name:<20}{ratios[name]:>8.2f}   at most {most:g}{verdict}")
    if save:
        kept = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": measured,
            "ratios": ratios,
        }
        FILE.write_text(json.dumps({**load_results(), "imports": kept}, indent=2) + "\n")
    return int(any(ratios[name] > most for name, most in MOST.items()))


def measure() -> dict[str, float]:
    """Return the seconds of each way, the quickest of several rounds, and the importer's largest size."""
    create_database()
    try:
        call_command("migrate", interactive=False, verbosity=0)
        make_shop()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "members.csv"
            write_file(path)
            rounds = [measure_round(path) for _ in range(ROUNDS)]
    finally:
        drop_database()
    quickest = {name: round(min(each[name] for each in rounds), 1) for name in rounds[0]}
    return {**quickest, "megabytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1_024}


def measure_round(path: Path) -> dict[str, float]:
    start_anew()
    seconds = {"psql": timed(*psql_command(), script=MERGE.format(path=path))}
    start_anew()
    importing = [sys.executable, "manage.py", "upsert_segment_customers", str(path), "--tenant", TENANT]
    for name in ("import", "again"):
        seconds[name] = timed(importing, dict(os.environ))
    return seconds


def timed(words: list[str], environ: dict[str, str], script: str = "") -> float:
    """Run a program to its end and return the seconds it took."""
    began = time.perf_counter()
    subprocess.run(
        words, env=environ, cwd=PROJECT, input=script.encode(), stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - began


def psql_command() -> tuple[list[str], dict[str, str]]:
    words, environ = connection.client.settings_to_cmd_args_env(connection.settings_dict, [])
    return [words[0], "--quiet", "--set", "ON_ERROR_STOP=1", *words[1:]], {**os.environ, **(environ or {})}


def start_anew() -> None:
    """Empty the table, and let neither way pay for what the other left to be written."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE segments_customerassignment")
        cursor.execute("VACUUM ANALYZE accounts_customer, segments_segment, segments_customerassignment")
        cursor.execute("CHECKPOINT")


def make_shop() -> None:
    tenant = Tenant.objects.create(name=TENANT)
    site = Site.objects.create(tenant=tenant, code="main", name="Main")
    for start in range(0, CUSTOMERS, ROWS_AT_ONCE):
        Customer.objects.bulk_create(
            Customer(tenant=tenant, external_id=f"customer-{number}", email=f"c{number}@example.com")
            for number in range(start, start + ROWS_AT_ONCE)
        )
    Segment.objects.bulk_create(
        Segment(tenant=tenant, site=site, external_id=f"segment-{number}", name={"en": f"Segment {number}"})
        for number in range(SEGMENTS)
    )


def write_file(path: Path) -> None:
    """Write the memberships in no order. PostgreSQL makes them, so that this process stays small.

    What a child is reported to have used begins with what its parent had.
    """
    with path.open("wb") as file, connection.cursor() as cursor, cursor.copy(ROWS) as rows:
        file.write(b"segmentId,customerId\n")
        for part in rows:
            file.write(part)
