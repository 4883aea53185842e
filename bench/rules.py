"""What rules of segments cost, compared with bare statements in the same run.

`python -m bench.rules [--customers N]`, with two redemptions a customer. Exit status 1 when a target is
missed. The database is one of its own and is dropped afterwards, unless `--keep`; one that is there is used
again.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import django

os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="rules", ACCESS_LOG="0")
django.setup()

from django.core.management import call_command  # noqa: E402 -- needs the settings
from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import Customer, Site  # noqa: E402
from bench.dataset.building import create_database, database_exists, drop_database  # noqa: E402
from bench.dataset.rows import indexes_built_afterwards  # noqa: E402
from bench.journal import Api  # noqa: E402
from catalog.models import Product  # noqa: E402
from core.background.models import OPEN_STATES, Job  # noqa: E402
from core.background.worker import run_slice  # noqa: E402
from core.tenancy.models import Tenant  # noqa: E402
from coupons.models import Coupon  # noqa: E402
from segments.models import (  # noqa: E402
    CustomerAssignment,
    DueCustomer,
    ItemAssignment,
    Rule,
    Segment,
    Tally,
)
from segments.rules.evaluation import request_evaluation, rules_with_scope  # noqa: E402
from segments.rules.operations import save_rule  # noqa: E402
from segments.rules.previews import PreviewBody, preview_rule  # noqa: E402

TENANT = "bench"
RULE = "mixins.score:<182"  # of 1,000
ANOTHER_RULE = "mixins.score:>=818"
THREE_TERMS = "onHold:false mixins.score:>=500 redemptions.90d.count:>=2"
LIVE_RULES = 200
CHANGES = 100  # a second
SECONDS = 20
FIRST, AGAIN, FRESH, CORES, PREVIEW = 1.3, 0.25, 5.0, 0.5, 1.0  # PREVIEW: seconds
BESIDE = 1 / 0.8  # of the undisturbed time
READERS_SECONDS = 15
ROUNDS = 3
CUSTOMERS = """
INSERT INTO accounts_customer (tenant_id, external_id, email, first_name, last_name, mixins, created_at,
    modified_at, version, password, title, middle_name, contact_phone, company, company_registration_id,
    preferred_language, preferred_currency, preferred_site, type, photo_url, is_active, is_on_hold)
SELECT %s, 'C' || number, 'c' || number || '@example.com', 'First' || number %% 997, 'Last' || number %% 9973,
    jsonb_build_object('score', (number * 7919) %% 1000), now() - number * interval '40 seconds', now(), 1,
    '', '', '', '', '', '', 'en', 'EUR', 'main', 'CUSTOMER', '', true, number %% 50 = 0
FROM generate_series(1::bigint, %s) AS number
"""
REDEMPTIONS = """
INSERT INTO coupons_redemption (tenant_id, external_id, coupon_id, customer_id, customer_number,
    legal_entity_id, order_code, idempotency_key, order_total_amount, order_total_currency, discount_amount,
    discount_currency, redeemed_at)
SELECT customer.tenant_id, 'R' || number, %s, customer.id, customer.external_id, '', '', '', 100, 'EUR', 10,
    'EUR', now() - (number * 48271 %% 31536000) * interval '1 second'
FROM generate_series(1::bigint, %s) AS number
JOIN accounts_customer AS customer
    ON customer.external_id = 'C' || ((hashint8(number)::bigint + 2147483648) %% %s + 1)
"""
BARE = """
INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, assignment_type, version,
    created_at, modified_at)
SELECT customer.tenant_id, %s, customer.id, 'AUTOMATIC', 1, now(), now() FROM accounts_customer AS customer
WHERE customer.tenant_id = %s AND CASE WHEN jsonb_typeof(customer.mixins #> '{score}') = 'number'
    THEN (customer.mixins #>> '{score}')::numeric < 182 ELSE customer.mixins #>> '{score}' < '182' END
ORDER BY customer.id
"""


def make_shop(customers: int) -> Tenant:
    tenant = Tenant.objects.create(name=TENANT)
    site = Site.objects.create(tenant=tenant, code="main", name="Main")
    coupon = Coupon.objects.create(
        tenant=tenant, code="SALE", name="Sale", discount_type="PERCENT", discount_percentage=5
    )
    for name in ("bare", "ruled", *(f"live-{number}" for number in range(LIVE_RULES))):
        Segment.objects.create(tenant=tenant, site=site, external_id=name, name={"en": name}, status="ACTIVE")
    with transaction.atomic(), indexes_built_afterwards(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
        cursor.execute(CUSTOMERS, [tenant.pk, customers])
        cursor.execute("CREATE INDEX bench_ids ON accounts_customer (external_id)")
        cursor.execute(REDEMPTIONS, [coupon.pk, 2 * customers, customers])
        cursor.execute("DROP INDEX bench_ids")
    Tally.objects.create(tenant=tenant, kind=Tally.Kind.CUSTOMERS, key=tenant.pk, count=customers)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return tenant


def seconds_of(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def evaluate() -> None:
    """Do all slices of the evaluations that are asked for."""
    while job := Job.objects.filter(state__in=OPEN_STATES).order_by("id").first():
        with transaction.atomic():
            run_slice(job, timezone.now())


def insert_bare(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute(BARE, [Segment.objects.get(external_id="bare").pk, tenant.pk])


def remove_members() -> None:
    DueCustomer.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE segments_customerassignment")


def save(tenant: Tenant, segment: str, q: str) -> None:
    save_rule(
        tenant_id=tenant.pk, segment_id=segment, q=q, mode="LIVE", membership="CUSTOMER", at=timezone.now()
    )


def evaluations(tenant: Tenant) -> list[tuple[str, float, float]]:
    bare, first, again = [], [], []
    for _ in range(ROUNDS):
        remove_members()
        bare.append(seconds_of(lambda: insert_bare(tenant)))
        remove_members()
        Rule.objects.all().delete()
        save(tenant, "ruled", RULE)
        first.append(seconds_of(evaluate))
        rule = rules_with_scope().get()
        request_evaluation(rule, requested_by="bench", at=timezone.now())
        again.append(seconds_of(evaluate))
    tell(f"{CustomerAssignment.objects.count():,} members; bare INSERT ... SELECT {median(bare):.2f} s")
    return [
        ("first evaluation, of the bare statement", median(first) / median(bare), FIRST),
        ("again without change, of the bare statement", median(again) / median(bare), AGAIN),
    ]


def previews(tenant: Tenant) -> list[tuple[str, float, float]]:
    body = PreviewBody(q=THREE_TERMS, segment_id="ruled")
    taken = []
    for _ in range(ROUNDS + 1):
        taken.append(seconds_of(lambda: preview_rule(tenant=tenant, body=body, at=timezone.now())))
    preview = preview_rule(tenant=tenant, body=body, at=timezone.now())
    tell(f"preview: {preview.count} belong, terms {[term.count for term in preview.terms]}")
    return [("preview of three terms, seconds", median(taken[1:]), PREVIEW)]


EVALUATOR = """
import os
from config.server.background import LESS_URGENT
os.nice(LESS_URGENT)
os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="rules")
import django
django.setup()
from core.tenancy.models import Tenant
from bench.rules import ANOTHER_RULE, RULE, TENANT, evaluate, save
tenant = Tenant.objects.get(name=TENANT)
while True:
    for q in (ANOTHER_RULE, RULE):
        save(tenant, "ruled", q)
        evaluate()
        print("evaluated", flush=True)
"""


def reads_beside(tenant: Tenant) -> list[tuple[str, float, float]]:
    """Read what shoppers see, undisturbed and beside evaluations that exchange all members of a segment."""
    Rule.objects.all().delete()
    remove_members()
    named = {"code": "P1", "name": {"en": "P"}}
    product, _ = Product.objects.get_or_create(tenant=tenant, external_id="P1", defaults=named)
    segment = Segment.objects.get(external_id="ruled")
    ItemAssignment.objects.get_or_create(tenant=tenant, segment=segment, product=product)
    api = Api(tenant)
    seconds_of_reads(api)  # warms up
    undisturbed = seconds_of_reads(api)
    evaluator = subprocess.Popen([sys.executable, "-c", EVALUATOR], stdout=subprocess.PIPE)
    try:
        assert evaluator.stdout is not None
        evaluator.stdout.readline()  # the first one is over
        beside = seconds_of_reads(api)
    finally:
        evaluator.kill()
        evaluator.wait()
    tell(f"a read takes {1e3 * undisturbed:.2f} ms undisturbed, {1e3 * beside:.2f} ms beside evaluations")
    return [("storefront reads beside evaluations, of the undisturbed", beside / undisturbed, BESIDE)]


def seconds_of_reads(api: Api) -> float:
    """Return the mean time of a read of a shopper's items."""
    began, number = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < READERS_SECONDS:
        number += 1
        answer = api.client.get(
            f"/customer-segment/{TENANT}/segments/items?customerId=C{number * 37 % 1_000 + 1}"
        )
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code} {answer.content[:500]!r}")
    return elapsed / number


WORKER = """
import os
from config.server.background import LESS_URGENT
os.nice(LESS_URGENT)
os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="rules")
import django
django.setup()
from core.background.worker import BackgroundWorker
from segments.background_tasks import NAMES
worker = BackgroundWorker(only=NAMES)
worker.pause = 0.5
worker.run()
"""


def freshness(tenant: Tenant) -> list[tuple[str, float, float]]:
    """Change customers, and measure until when each is judged, beside so many rules."""
    Rule.objects.all().delete()
    for number in range(LIVE_RULES):
        terms = (f"mixins.score:{number}", "onHold:true", f"redemptions.{number % 9 + 1}d.count:>=9")
        save(tenant, f"live-{number}", " ".join(terms[: number % 3 + 1]))
    evaluate()
    DueCustomer.objects.all().delete()
    worker = subprocess.Popen([sys.executable, "-c", WORKER])
    try:
        return measured_freshness(tenant, Customer.objects.count(), worker)
    finally:
        worker.kill()
        worker.wait()


def measured_freshness(tenant: Tenant, customers: int, worker: Any) -> list[tuple[str, float, float]]:
    waiting: dict[str, float] = {}
    latencies: list[float] = []
    began = time.monotonic()
    time.sleep(5)
    used = processor_seconds(worker.pid)
    began, number = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < SECONDS or (waiting and elapsed < 2 * SECONDS):
        while elapsed < SECONDS and number < elapsed * CHANGES:
            change(tenant, f"C{number * 37 % customers + 1}", score=1)
            waiting[f"C{number * 37 % customers + 1}"] = time.monotonic()
            number += 1
        members = CustomerAssignment.objects.filter(
            tenant=tenant, segment__external_id="live-1", customer__external_id__in=list(waiting)
        )
        for name in members.values_list("customer__external_id", flat=True):
            latencies.append(time.monotonic() - waiting.pop(name))
        time.sleep(0.05)
    cores = (processor_seconds(worker.pid) - used) / (time.monotonic() - began)
    latencies += [float(2 * SECONDS)] * len(waiting)
    tell(f"{number} changes, median {median(latencies):.2f} s, {len(waiting)} not judged")
    return [
        ("change to member, seconds at the 99th percentile", quantiles(latencies, n=100)[-1], FRESH),
        ("cores of the worker and its connection", cores, CORES),
    ]


def change(tenant: Tenant, name: str, *, score: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_customer SET is_on_hold = true,"
            " mixins = jsonb_build_object('score', %s::integer) WHERE tenant_id = %s AND external_id = %s",
            [score, tenant.pk, name],
        )


def processor_seconds(pid: int) -> float:
    """Return the seconds that the worker and its connections had a processor."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"  # no vacuum of what was measured before
        )
        own = connection.connection.info.backend_pid
        backends = [backend for (backend,) in cursor.fetchall() if backend != own]
    total = 0.0
    for one in (pid, *backends):
        stat = Path(f"/proc/{one}/stat")
        if stat.exists():
            fields = stat.read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


MEASURED = {
    "evaluation": evaluations,
    "preview": previews,
    "reads": reads_beside,
    "freshness": freshness,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rules", description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000, help="customers of the shop (1000000)")
    parser.add_argument("--keep", action="store_true", help="keep the database")
    parser.add_argument("--only", choices=MEASURED, action="append", help="what is measured (all)")
    parser.add_argument("--make", action="store_true", help="only make the database, and keep it")
    options = parser.parse_args()
    missed = False
    try:
        if not database_exists():
            create_database()
            call_command("migrate", interactive=False, verbosity=0)
            began = datetime.now(UTC)
            make_shop(options.customers)
            tell(f"{options.customers:,} customers made in {(datetime.now(UTC) - began).seconds} s")
        tenant = Tenant.objects.get(name=TENANT)
        for kind in () if options.make else options.only or MEASURED:
            for name, figure, most in MEASURED[kind](tenant):
                verdict = "" if figure <= most else "  missed"
                missed = missed or bool(verdict)
                tell(f"{name:<50}{figure:>8.3f}   at most {most}{verdict}")
    finally:
        if not (options.keep or options.make):
            drop_database()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
