"""How long the reports on coupons take with 2,000,000 redemptions, in the API and in the admin.

`python -m bench.reports [--redemptions N]`. Exit status 1 when one takes longer than 300 ms. The requests run
in this process; measured is the time on its processor and on its connection's backend, as in `bench.journal`,
and by the clock. `--explain` adds the plans. The database is one of its own and is dropped afterwards.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from statistics import median

import django

os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="reports")
django.setup()

from django.conf import settings  # noqa: E402 -- needs the settings
from django.contrib.auth.models import Group  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, override_settings  # noqa: E402
from django.urls import reverse  # noqa: E402

from accounts.models import Site, User  # noqa: E402
from bench.console import PLAIN_FILES  # noqa: E402
from bench.dataset.building import create_database, drop_database  # noqa: E402
from bench.dataset.rows import indexes_built_afterwards, insert_rows  # noqa: E402
from bench.journal import Api, on_processor  # noqa: E402
from core.journal.settling import settle_all  # noqa: E402
from core.tenancy.models import Tenant  # noqa: E402
from coupons.models import Coupon, CouponCampaign, CouponSegment, Redemption  # noqa: E402
from coupons.report_counts import merge_counts  # noqa: E402
from segments.models import Segment  # noqa: E402

TENANT = "bench"
MOST = 300.0  # milliseconds
RUNS, WARM_UP = 7, 2
DAYS = 365
CAMPAIGNS, CODES = 20, 50_000
COUPONS, SEGMENTS = 2_000, 50
LATEST = 20_000  # redemptions that have not been merged yet, of many statements
RECENT = 1_000  # and of them those that have not settled
OF_A_STATEMENT = 10
# Each coupon was judged on one day in five.
JUDGED = f"""
INSERT INTO coupons_judgementcount (tenant_id, coupon_id, day, outcome, count)
SELECT tenant_id, id, current_date - day, outcome, 1 + id % 7
FROM coupons_coupon, generate_series(0, {DAYS}) AS day,
    unnest(ARRAY['valid', 'refused', 'segment_membership_missing']) AS outcome
WHERE (terms_id IS NULL OR terms_id = id) AND (id + day) % 5 = 0
"""


def make_shop(redemptions: int) -> Tenant:
    """Make coupons of two segments each and codes of campaigns, and redeem them over a year.

    Most is written without triggers and counted as a migration counts it; the rest by many statements, and
    counted by its changes.
    """
    tenant = Tenant.objects.create(name=TENANT)
    site = Site.objects.create(tenant=tenant, code="main", name="Main", is_default=True)
    user = User.objects.create_user(username="merchandiser", tenant=tenant, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=["Merchandiser", "Catalogue manager"]))
    for number in range(SEGMENTS):
        Segment.objects.create(
            tenant=tenant, site=site, external_id=f"S{number}", name={"en": f"S{number}"}, status="ACTIVE"
        )
    with connection.cursor() as cursor:
        with transaction.atomic(), indexes_built_afterwards():
            cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
            write_coupons(tenant)
            cursor.execute(
                "CREATE TABLE bench_coupons AS SELECT row_number() OVER (ORDER BY id) - 1 AS place, id"
                " FROM coupons_coupon WHERE terms_id IS DISTINCT FROM id"
            )
            cursor.execute("CREATE UNIQUE INDEX ON bench_coupons (place)")
            redeem(tenant, 0, redemptions - LATEST)
            cursor.execute(JUDGED)
        with transaction.atomic():
            cursor.execute(import_module("coupons.migrations.0010_report_counts").COUNT)
        for first in range(redemptions - LATEST, redemptions, OF_A_STATEMENT):
            redeem(tenant, first, first + OF_A_STATEMENT)
            if first == redemptions - RECENT - OF_A_STATEMENT:
                settle_all()
                cursor.execute("VACUUM ANALYZE")
    return tenant


def write_coupons(tenant: Tenant) -> None:
    columns = {
        "tenant_id": "%(tenant)s",
        "name": "'Bench'",
        "discount_type": "'FREE_SHIPPING'",
        "created_at": "now() - number * 7919 %% (365 * 86400) * interval '1 second'",
    }
    values = {"tenant": tenant.pk}
    insert_rows(
        Coupon,
        columns | {"code": "'C' || number"},
        f"FROM generate_series(1::bigint, {COUPONS}) AS number",
        values,
    )
    for number in range(CAMPAIGNS):
        terms = Coupon.objects.create(
            tenant=tenant, code=f"terms {number}", name=f"Campaign {number}", discount_type="FREE_SHIPPING"
        )
        Coupon.objects.filter(pk=terms.pk).update(terms=terms)
        CouponCampaign.objects.create(tenant=tenant, external_id=f"K{number}", terms=terms, code_count=CODES)
        insert_rows(
            Coupon,
            columns | {"code": f"'K{number}-' || number", "terms_id": "%(terms)s"},
            f"FROM generate_series(1::bigint, {CODES}) AS number",
            values | {"terms": terms.pk},
        )
    insert_rows(
        CouponSegment,
        {
            "tenant_id": "%(tenant)s",
            "coupon_id": "coupon.id",
            "segment_id": "segment.id",
            "segment_external_id": "segment.external_id",
        },
        "FROM coupons_coupon AS coupon JOIN segments_segment AS segment"
        f" ON segment.external_id IN ('S' || coupon.id %% {SEGMENTS},"
        f" 'S' || (coupon.id * 7 + 3) %% {SEGMENTS})"
        " WHERE coupon.terms_id IS NULL",
        values,
    )


def redeem(tenant: Tenant, first: int, beyond: int) -> None:
    """Insert redemptions of these numbers; a half is of codes."""
    insert_rows(
        Redemption,
        {
            "tenant_id": "%(tenant)s",
            "external_id": "'R' || number",
            "coupon_id": "coupon.id",
            "customer_number": "'C' || number %% 100000",
            "order_total_amount": "100",
            "order_total_currency": "CASE WHEN number %% 5 = 0 THEN 'CHF' ELSE 'EUR' END",
            "discount_amount": "1 + number %% 900 / 100.0",
            "discount_currency": "CASE WHEN number %% 5 = 0 THEN 'CHF' ELSE 'EUR' END",
            "redeemed_at": "now() - number * 48271 %% (365 * 86400) * interval '1 second'",
        },
        "FROM generate_series(%(first)s::bigint, %(last)s) AS number JOIN bench_coupons AS coupon"
        " ON coupon.place = CASE WHEN number %% 2 = 0 THEN number * 7919 %% %(coupons)s"
        " ELSE %(coupons)s + number %% %(codes)s END",
        {
            "tenant": tenant.pk,
            "first": first,
            "last": beyond - 1,
            "coupons": COUPONS,
            "codes": CAMPAIGNS * CODES,
        },
    )


def reports(day: date) -> Iterator[tuple[str, str]]:
    """Yield the reports, those of the API with their query and those of the admin with their address."""
    page, lists = reverse("admin:coupons_report"), "coupons_redemption_changelist"
    segment, campaign = Segment.objects.get(external_id="S7"), CouponCampaign.objects.get(external_id="K7")
    for days in (30, DAYS):
        api = f"/coupon/{TENANT}/coupon-reports?from={day - timedelta(days - 1)}&until={day}"
        admin = f"{page}?first={day - timedelta(days - 1)}&last={day}"
        yield f"API, all coupons, {days} days", api
        yield f"API, by campaign, {days} days", f"{api}&groupBy=campaign"
        yield f"API, by segment, {days} days", f"{api}&groupBy=segment"
        yield f"API, one campaign, {days} days", f"{api}&groupBy=campaign&id=K7"
        yield f"API, one segment, {days} days", f"{api}&groupBy=segment&id=S7"
        yield f"admin, all coupons, {days} days", admin
        yield f"admin, by campaign, {days} days", f"{admin}&by=campaign"
        yield f"admin, by segment, {days} days", f"{admin}&by=segment"
        yield f"admin, one campaign, {days} days", f"{admin}&campaign={campaign.pk}"
        yield f"admin, one segment, {days} days", f"{admin}&segment={segment.pk}"
    week = f"{reverse(f'admin:{lists}')}?days={day - timedelta(6)}..{day}"
    yield "admin, the redemptions of a week", week
    yield "admin, the redemptions of a segment", f"{week}&segment={segment.pk}"
    yield "admin, the redemptions of a campaign", f"{week}&campaign={campaign.pk}"
    yield "admin, start page", reverse("admin:index")


def measure(tenant: Tenant, *, explain: bool) -> int:
    """Print what each report takes, and return how many take too long."""
    api, browser, missed = Api(tenant).client, Client(), 0
    browser.force_login(User.objects.get(username="merchandiser"))
    for name, address in reports(datetime.now(UTC).date()):
        client, by_clock, by_processor = api if name.startswith("API") else browser, [], []
        for _ in range(WARM_UP + RUNS):
            began, worked = time.perf_counter(), on_processor()
            answer = client.get(address, headers={"Host": "127.0.0.1"})
            by_processor.append(1e3 * (on_processor() - worked))
            by_clock.append(1e3 * (time.perf_counter() - began))
            if answer.status_code != 200:
                raise RuntimeError(f"{address}: {answer.status_code} {answer.content[:500]!r}")
        figure = median(by_processor[WARM_UP:])
        missed += figure > MOST
        times = f"{min(by_clock[WARM_UP:]):.0f} to {max(by_clock[WARM_UP:]):.0f} by the clock"
        much = f"{len(answer.content):,} bytes{'  missed' if figure > MOST else ''}"
        tell(f"{name:<40}{figure:>8.0f} ms of the processor, {times}, {much}")
        if explain:
            explain_statements(client, address)
    return missed


def explain_statements(client: Client, address: str) -> None:
    """Print the plans of the statements of a request that read what is counted."""
    with CaptureQueriesContext(connection) as captured:
        client.get(address, headers={"Host": "127.0.0.1"})
    with connection.cursor() as cursor:
        for query in captured.captured_queries:
            if "coupons_reportcount" in query["sql"]:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {query['sql']}")
                tell("\n".join(f"    {line}" for (line,) in cursor.fetchall()))


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reports", description=__doc__)
    parser.add_argument("--redemptions", type=int, default=2_000_000, help="how many (2000000)")
    parser.add_argument("--explain", action="store_true", help="print the plans of the statements")
    options = parser.parse_args()
    missed = 0
    try:
        create_database()
        call_command("migrate", interactive=False, verbosity=0)
        began = time.monotonic()
        tenant = make_shop(options.redemptions)
        tell(f"{options.redemptions:,} redemptions made in {time.monotonic() - began:.0f} s")
        with override_settings(STORAGES={**settings.STORAGES, "staticfiles": {"BACKEND": PLAIN_FILES}}):
            tell(f"with {LATEST:,} redemptions that are not merged, {RECENT:,} of them not settled:")
            missed += measure(tenant, explain=options.explain)
            settle_all()
            while merge_counts(datetime.now(UTC)):
                pass
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE coupons_reportaddition, coupons_reportcount")
            tell("with all of them merged:")
            missed += measure(tenant, explain=options.explain)
    finally:
        drop_database()
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
