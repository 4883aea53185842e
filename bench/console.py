"""How long the pages of the admin take with 1,000,000 members in one segment.

`python -m bench.console [--members N]`. Exit status 1 when a page takes longer than 300 ms. The requests run
in this process, by a merchandiser; the database is one of its own and is dropped afterwards, unless
`--keep`, which also uses one that was kept.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from statistics import median

import django

os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="console")
django.setup()

from django.conf import settings  # noqa: E402 -- needs the settings
from django.contrib.auth.models import Group  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import override_settings  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.http import urlencode  # noqa: E402

from accounts.models import Customer, Site, User  # noqa: E402
from bench.dataset.building import create_database, database_exists, drop_database  # noqa: E402
from bench.dataset.rows import indexes_built_afterwards  # noqa: E402
from bench.journal import Api  # noqa: E402
from bench.rules import CUSTOMERS  # noqa: E402
from catalog.models import Category, Product  # noqa: E402
from core.tenancy.models import Tenant  # noqa: E402
from coupons.models import Coupon, CouponSegment  # noqa: E402
from segments.effects import Affected, Difference  # noqa: E402
from segments.effects.addresses import EFFECT, of_difference  # noqa: E402
from segments.models import ItemAssignment, Segment, Tally  # noqa: E402

TENANT = "bench"
MOST = 300.0  # milliseconds, of a page
RUNS, WARM_UP = 5, 2
PLAIN_FILES = "django.contrib.staticfiles.storage.StaticFilesStorage"  # nobody has collected them
SEGMENTS, PRODUCTS, SHELVES, COUPONS = 40, 2_000, 200, 209
CHUNK = 10_000  # members that one statement adds, as an import does
BATCH = 100
ITEMS = 150
MEMBERS = """
INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, assignment_type, version,
    valid_to, created_at, modified_at)
SELECT customer.tenant_id, %s, customer.id, 'MANUAL', 1,
    CASE WHEN customer.id %% 1000 = 0 THEN now() - interval '1 day' END, now(), now()
FROM accounts_customer AS customer WHERE customer.tenant_id = %s
ORDER BY customer.id OFFSET %s LIMIT %s
"""
SINGLE_CHANGES = """
UPDATE accounts_customer SET title = 'Dr.', version = version + 1 WHERE tenant_id = %s AND id %% 10 = 3
"""


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make_shop(members: int) -> None:
    """Make a shop whose customers are all in one segment, beside segments, items, coupons and changes."""
    tenant = Tenant.objects.create(name=TENANT)
    site = Site.objects.create(tenant=tenant, code="main", name="Main", is_default=True)
    user = User.objects.create_user(username="merchandiser", tenant=tenant, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=["Merchandiser", "Catalogue manager"]))
    with transaction.atomic(), indexes_built_afterwards(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
        cursor.execute(CUSTOMERS, [tenant.pk, members])
    Tally.objects.create(tenant=tenant, kind=Tally.Kind.CUSTOMERS, key=tenant.pk, count=members)
    segments = [
        Segment.objects.create(
            tenant=tenant, site=site, external_id=name, name={"en": name.title()}, status="ACTIVE"
        )
        for name in ("everybody", *(f"segment-{number}" for number in range(SEGMENTS)))
    ]
    fill_catalogue(tenant, segments)
    fill_segments(tenant, segments, members)
    for number in range(COUPONS):
        coupon = Coupon.objects.create(
            tenant=tenant, code=f"C-{number}", name=f"Coupon {number}", discount_type="PERCENT",
            discount_percentage=5, is_segment_restricted=True,
        )  # fmt: skip
        segment = segments[number % 2 * number % len(segments)]
        CouponSegment.objects.create(
            tenant=tenant, coupon=coupon, segment=segment, segment_external_id=segment.external_id
        )
    with connection.cursor() as cursor:
        cursor.execute(SINGLE_CHANGES, [tenant.pk])
        cursor.execute("VACUUM ANALYZE")


def fill_catalogue(tenant: Tenant, segments: list[Segment]) -> None:
    api = Api(tenant)
    for number in range(SHELVES):
        body = {"localizedName": {"en": f"Shelf {number}"}, "published": number % 50 != 7}
        if number >= BATCH:
            body["parentId"] = f"shelf-{number - BATCH}"
        api.send("put", f"/category/{TENANT}/categories/shelf-{number}", body)
    for begin in range(0, PRODUCTS, BATCH):
        products = [
            {"id": f"P{number}", "code": f"P{number}", "name": {"en": f"Product {number}"}, "published": True}
            for number in range(begin, begin + BATCH)
        ]
        api.send("post", f"/product/{TENANT}/products/bulk", products)
        entries = [{"ref": {"id": one["id"], "type": "PRODUCT"}} for one in products]
        shelf = f"/category/{TENANT}/categories/shelf-{begin // BATCH}"
        api.send("post", f"{shelf}/assignments/bulk", entries)
    products = list(Product.objects.filter(tenant=tenant).order_by("pk"))
    categories = list(Category.objects.filter(tenant=tenant).order_by("pk"))
    for place, segment in enumerate(segments):
        items = [
            ItemAssignment(tenant=tenant, segment=segment, product=products[(place * 37 + number) % PRODUCTS])
            for number in range(ITEMS)
        ]
        items += [
            ItemAssignment(
                tenant=tenant,
                segment=segment,
                category=categories[(place * 7 + number) % SHELVES],
                includes_subcategories=True,
            )
            for number in range(10)
        ]
        ItemAssignment.objects.bulk_create(items)


def fill_segments(tenant: Tenant, segments: list[Segment], members: int) -> None:
    """Add all customers to the first segment, chunk by chunk, and some to each of the others."""
    with connection.cursor() as cursor:
        for start in range(0, members, CHUNK):
            cursor.execute(MEMBERS, [segments[0].pk, tenant.pk, start, CHUNK])
        for place, segment in enumerate(segments[1:]):
            cursor.execute(MEMBERS, [segment.pk, tenant.pk, place * members // SEGMENTS, members // 500])


def pages() -> Iterator[tuple[str, str]]:
    """Yield the pages that merchandisers open, by what they do."""
    segment = Segment.objects.get(external_id="everybody")
    customer = Customer.objects.order_by("pk")[Customer.objects.count() // 2]
    record = reverse("admin:segments_segment_change", args=[segment.pk])
    lists = {
        name: f"{reverse(f'admin:segments_{model}_changelist')}?segment__id__exact={segment.pk}"
        for name, model in (("members", "customerassignment"), ("items", "itemassignment"))
    }
    members, activity = lists["members"], reverse("admin:journal_change_changelist")
    category = Category.objects.get(external_id="shelf-0")
    yield "start page", reverse("admin:index")
    yield "start page: needs attention", reverse("admin:panel", args=["findings"])
    yield "find anything by a name", f"{reverse('admin:find')}?q=First+12"
    yield "segments", reverse("admin:segments_segment_changelist")
    yield "a segment", record
    yield "a segment: its problems", reverse("admin:segments_segment_problems", args=[segment.pk])
    yield "a segment: who belongs", reverse("admin:segments_segment_rule", args=[segment.pk])
    yield "members", members
    yield "members, far back", f"{members}&before={CHUNK}"
    yield "members who count now", f"{members}&counts=yes"
    yield "members who do not count now", f"{members}&counts=no"
    yield "members added by somebody", f"{members}&by=sql:{sql_user()}"
    yield "search of members: an e-mail", f"{members}&q={customer.email}"
    yield "search of members: a first name", f"{members}&q=First500"
    yield "search of members: what all have", f"{members}&q=First"
    yield "search of members: two beginnings", f"{members}&q=First1+Last2"
    yield "search of members: very many, but old", f"{members}&q=C1"
    yield "search of members: nobody", f"{members}&q=nobody-at-all"
    yield "products and categories", lists["items"]
    yield "products and categories by name", f"{lists['items']}&q=Product+1"
    yield "activity", activity
    yield "activity of the segment", f"{activity}?of=segments.segment-{segment.pk}"
    yield "activity of staff", f"{activity}?by=staff"
    yield "activity of segments", f"{activity}?what=segment"
    yield "activity by an id", f"{activity}?q=C{customer.pk}"
    yield "before deleting the segment", reverse("admin:segments_segment_delete", args=[segment.pk])
    losing = Difference(segment.tenant_id, timezone.now(), losing=[segment.pk], gaining=[])
    for which in (Affected.LOSING, Affected.KEEPING_ANOTHER, Affected.LOSING_ALL, Affected.LOSING_CATEGORIES):
        query = urlencode({EFFECT: of_difference(which, losing)})
        yield f"customers before that: {which}", f"{reverse('admin:accounts_customer_changelist')}?{query}"
    of_all = reverse("admin:segments_customerassignment_changelist")
    yield "members of two segments", f"{of_all}?segments={segment.pk},{segment.pk - 1}"
    yield "combine", reverse("admin:segments_segment_combine", args=[segment.pk])
    yield "customers", reverse("admin:accounts_customer_changelist")
    yield "search of customers", f"{reverse('admin:accounts_customer_changelist')}?q=First12"
    yield "view as customer", f"{reverse('admin:view_as_customer')}?customer={customer.pk}"
    yield "categories", reverse("admin:catalog_category_changelist")
    yield "before deleting a category", reverse("admin:catalog_category_delete", args=[category.pk])
    yield "products", reverse("admin:catalog_product_changelist")
    yield "coupons", reverse("admin:coupons_coupon_changelist")
    yield "coupon report", reverse("admin:coupons_report")


def sql_user() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])


def milliseconds(browser: Client, address: str) -> float:
    """Return what a page takes, the median of several requests after the first ones."""
    taken = []
    for _ in range(WARM_UP + RUNS):
        began = time.perf_counter()
        answer = browser.get(address, headers={"Host": "127.0.0.1"})
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
        taken.append(1e3 * (time.perf_counter() - began))
    return median(taken[WARM_UP:])


def measure(only: str) -> int:
    """Tell what each page takes that is named so, and return how many take too long."""
    browser = Client()
    browser.force_login(User.objects.get(username="merchandiser"))
    missed = 0
    for name, address in pages():
        if only.lower() in name:
            figure = milliseconds(browser, address)
            missed += figure > MOST
            tell(f"{name:<40}{figure:>8.0f} ms{'  missed' if figure > MOST else ''}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000, help="members of the segment (1000000)")
    parser.add_argument("--keep", action="store_true", help="keep the database, and use one that was kept")
    parser.add_argument("--make", action="store_true", help="only make the database, and keep it")
    parser.add_argument("--only", default="", metavar="TEXT", help="pages whose name holds TEXT")
    options = parser.parse_args()
    missed = 0
    try:
        if not (options.keep and database_exists()):
            create_database()
            call_command("migrate", interactive=False, verbosity=0)
            began = time.monotonic()
            make_shop(options.members)
            tell(f"{options.members:,} members made in {time.monotonic() - began:.0f} s")
        if options.make:
            return 0
        with override_settings(STORAGES={**settings.STORAGES, "staticfiles": {"BACKEND": PLAIN_FILES}}):
            missed = measure(options.only)
    finally:
        if not (options.keep or options.make):
            drop_database()
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
