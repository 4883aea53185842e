"""Loads the demo shop: first in one transaction, so that it is there whole or not at all.

Bringing it up to date takes one transaction for each kind of row, so that others who write to the shop do
not wait for the whole load.
"""

from datetime import date, datetime

from django.db import connection, transaction

from accounts.models import Customer
from catalog.models import Category, CategoryAssignment, Product
from config.demo.assortment import category_ids, load_categories, load_category_assignments, load_products
from config.demo.calendar import Calendar
from config.demo.campaigns import load_items, load_memberships, load_segments, members_by_campaign
from config.demo.discounts import load_coupons, load_own_coupon
from config.demo.people import contacts_of, load_companies, load_customers
from config.demo.redemptions import load_redemptions
from config.demo.rows import Load, Progress
from config.demo.rules import load_rules
from config.demo.shop import Names, make_clients, make_staff, make_tenant
from config.demo.source import read_file, read_purchases
from core.sql.locks import Lock, take_lock
from core.tenancy.models import Tenant
from coupons.models import Coupon, CouponSegment, Redemption
from segments.models import CustomerAssignment, ItemAssignment, Segment

LOADED = (
    Customer,
    Category,
    CategoryAssignment,
    Product,
    Segment,
    CustomerAssignment,
    ItemAssignment,
    Coupon,
    CouponSegment,
    Redemption,
)


def load_demo_shop(*, tenant_name: str, calendar: Calendar, at: datetime, progress: Progress) -> Load:
    """Make the demo shop, or bring it up to date; what is as it should be is not touched.

    What others added to the shop stays. A second load at the same time waits for the first. Raises
    DemoDataMissing before anything is written, and NameTaken when a login belongs to another tenant.
    """
    source = Source()
    with transaction.atomic():
        take_lock(Lock.DEMO_DATA)
        if not Product.objects.filter(tenant__name=tenant_name).exists():
            _keep_vacuum_away()
            return _load(source, tenant_name, calendar, at, progress)
    return _load(source, tenant_name, calendar, at, progress)


class Source:
    """The rows of the data, read before anything is locked. Raises DemoDataMissing."""

    def __init__(self) -> None:
        self.purchases = read_purchases()
        self.products = read_file("products")
        self.coupons = read_file("coupons")
        self.memberships = read_file("campaigns")
        self.campaigns = {row["campaign_id"]: row for row in read_file("campaign_descriptions")}
        self.demographics = read_file("demographics")
        self.redemptions = read_file("coupon_redemptions")


def _load(source: Source, tenant_name: str, calendar: Calendar, at: datetime, progress: Progress) -> Load:
    products, campaigns = source.products, source.campaigns
    with transaction.atomic():
        tenant, tally = make_tenant(tenant_name, at)
        load = Load(tenant.pk, at, progress)
        load.note("tenant and site", tally)
        _make_logins(load, tenant)
    load_customers(load, source.purchases, source.demographics, calendar)
    contacts = contacts_of(members_by_campaign(source.memberships))
    load_companies(load, contacts)
    ids = category_ids(products)
    load_categories(load, products, ids)
    load_products(load, products)
    load_category_assignments(load, products, ids)
    load_segments(load, campaigns.values(), calendar)
    load_memberships(load, source.memberships, contacts)
    load_items(load, source.coupons, products, ids, sorted(campaigns))
    load_coupons(load, source.coupons, campaigns, calendar)
    load_redemptions(load, source.redemptions, source.purchases, calendar)
    load_own_coupon(load)
    load_rules(load)
    if load.has_changed:
        _gather_statistics()
    return load


def _keep_vacuum_away() -> None:
    """Hold the tables so that the autovacuum skips them until the end; all others read and write.

    It counts nothing that is not committed. In the midst of the load it would tell the planner that the
    tables are empty, and each new row would be checked against all rows of the shop.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {_loaded_tables()} IN SHARE UPDATE EXCLUSIVE MODE")


def _gather_statistics() -> None:
    """Let the planner know the tables' new sizes at once, not when the autovacuum comes by."""
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {_loaded_tables()}")


def _loaded_tables() -> str:
    return ", ".join(model._meta.db_table for model in LOADED)


def _make_logins(load: Load, tenant: Tenant) -> None:
    names = Names(tenant.name)
    load.note("API clients", make_clients(tenant, names, load.at))
    load.note("admin users", make_staff(tenant, names))


def shop_calendar(*, day_of_data: date, today: date, shifts: bool) -> Calendar:
    """Return the calendar in which the day of the data is today; the data's own when nothing is shifted."""
    return Calendar.placing(day_of_data, on=today) if shifts else Calendar()
