"""Recent changes settle: they move into their months, and readers see each of them once."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from accounts.models import Customer
from accounts.operations.erasure import erase_customer
from catalog.models import Category
from core.background.worker import BackgroundWorker
from core.journal import settling
from core.journal.declarations import recorded, recorded_as
from core.journal.installation import STORED, install_after_migrate, install_triggers
from core.journal.models import Change
from core.journal.partitions import RECENT, make_partitions
from core.journal.settling import settle_all, settle_changes, unsettled_since
from core.journal.triggers import create_function
from core.sql.locks import Lock, take_lock
from core.tenancy.models import Tenant
from core.tenancy.removal import delete_batch, remove_tenant_rows
from coupons.models import Redemption
from coupons.reports import Grouping, totals
from tests.concurrency.threads import in_thread
from tests.factories.accounts import CustomerFactory, TenantFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory
from tests.waiting import PATIENCE, wait_for_a_lock

AT = datetime(2026, 3, 1, tzinfo=UTC)


def places() -> list[tuple[str, str, bool]]:
    """Return object, kind and whether the change is recent, in the order of their making."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT object, kind, tableoid = %s::regclass FROM journal_change ORDER BY id", [RECENT]
        )
        return cursor.fetchall()


def redeemed(tenant: Tenant) -> int:
    return totals(tenant_id=tenant.pk, first=AT.date(), last=AT.date(), by=Grouping.NONE)[""].redeemed


def all_changes() -> list[dict[str, object]]:
    return list(Change.objects.order_by("id").values())


def made(key: int) -> object:
    """Return what the journal says of a redemption when it was made."""
    return Change.objects.get(object="redemption", kind="created", key=key).after


def columns_of(redemption: Redemption) -> dict[str, object]:
    """Return the recorded columns of a redemption, as PostgreSQL writes them."""
    names = recorded_as("redemption").columns
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(it) FROM coupons_redemption AS it WHERE id = %s", [redemption.pk])
        [row] = cursor.fetchone()
    return {name: value for name, value in json.loads(row).items() if name in names}


@pytest.mark.django_db
def test_what_one_request_writes_is_recent(site):
    settle_all()
    last = Change.objects.latest("id").id
    customers = CustomerFactory.create_batch(2, tenant=site.tenant)
    coupon = CouponFactory(tenant=site.tenant)
    RedemptionFactory(coupon=coupon)
    Customer.objects.filter(pk=customers[0].pk).update(first_name="Ann")
    Customer.objects.update(first_name="Bob")
    category = CategoryFactory(tenant=site.tenant)
    Category.objects.filter(pk__in=[category.pk, category.parent_id]).update(is_published=False)
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=segment, customer=customers[0])
    rows = dict.fromkeys(places()[Change.objects.filter(id__lte=last).count() :])
    assert [row for row in rows if row[0] not in ("category-number", "coupon-settings")] == [
        ("customer", "created", False),
        ("coupon", "created", False),
        ("redemption", "created", True),
        ("customer", "updated", True),
        ("customer", "updated", False),
        ("category", "created", True),
        ("category", "updated", True),
        ("segment", "created", False),
        ("segment-customer", "created", True),
    ]


@pytest.mark.django_db
def test_a_change_settles_with_all_that_it_says(tenant):
    make_partitions(datetime.now(UTC))
    CategoryFactory(tenant=tenant)
    before = all_changes()
    assert any(is_recent for _, _, is_recent in places())
    assert settle_changes(AT) is False
    assert not any(is_recent for _, _, is_recent in places())
    assert all_changes() == before
    assert unsettled_since() is None


@pytest.mark.django_db
def test_a_redemption_is_copied_when_its_change_settles(tenant):
    redemption = RedemptionFactory(coupon=CouponFactory(tenant=tenant))
    assert made(redemption.pk) is None
    settle_all()
    assert made(redemption.pk) == columns_of(redemption)


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["deleted", "without its customer", "updated"])
def test_a_redemption_is_copied_before_it_is_changed(tenant, change):
    """Then its row no longer says how it was made."""
    customer, coupon = CustomerFactory(tenant=tenant), CouponFactory(tenant=tenant)
    redemptions = RedemptionFactory.create_batch(
        2, coupon=coupon, customer=customer, customer_number=customer.external_id
    )
    other = RedemptionFactory(coupon=CouponFactory(tenant=tenant))
    expected = {redemption.pk: columns_of(redemption) for redemption in redemptions}
    rows = Redemption.objects.filter(coupon=coupon)
    {
        "deleted": rows.delete,
        "without its customer": customer.delete,
        "updated": lambda: rows.update(discount_amount=1),
    }[change]()
    assert {key: made(key) for key in expected} == expected
    assert made(other.pk) is None
    settle_all()
    assert {key: made(key) for key in expected} == expected
    assert made(other.pk) == columns_of(other)


@pytest.mark.django_db
def test_redemptions_are_copied_after_a_former_release_came_back(tenant):
    """Its `migrate` renews the functions that it knows, while changes without a copy are recent."""
    [before, deleted] = RedemptionFactory.create_batch(2, coupon=CouponFactory(tenant=tenant))
    key, expected = deleted.pk, columns_of(deleted)
    formerly = replace(recorded_as("redemption"), is_copied_later=False)
    with connection.cursor() as cursor:
        cursor.execute(STORED)
        stored = dict(cursor.fetchall())
        for event in formerly.events:
            cursor.execute(create_function(formerly, event, stored))
    after = RedemptionFactory(coupon=before.coupon)
    assert made(after.pk) == columns_of(after)
    deleted.delete()
    assert (made(before.pk), made(key)) == (None, expected)
    install_triggers([formerly])
    after.delete()
    settle_all()
    assert (made(before.pk), made(key)) == (columns_of(before), expected)


@pytest.mark.django_db(transaction=True)
def test_what_deletes_a_redemption_waits_while_its_change_settles():
    redemption = RedemptionFactory(coupon=CouponFactory(tenant=TenantFactory()))
    expected = columns_of(redemption)
    with transaction.atomic():
        settle_changes(AT)
        deleting = in_thread(lambda: Redemption.objects.all().delete())
        wait_for_a_lock()
    deleting.result(PATIENCE)
    settle_all()
    assert made(redemption.pk) == expected


@pytest.mark.django_db(transaction=True)
def test_what_settles_leaves_the_change_to_what_deletes_its_redemption():
    redemption = RedemptionFactory(coupon=CouponFactory(tenant=TenantFactory()))
    expected = columns_of(redemption)
    with transaction.atomic():
        Redemption.objects.all().delete()
        assert in_thread(lambda: settle_changes(AT)).result(PATIENCE) is False
    settle_all()
    assert unsettled_since() is None
    assert made(redemption.pk) == expected


@pytest.mark.django_db
def test_changes_settle_slice_by_slice(tenant, monkeypatch):
    monkeypatch.setattr(settling, "SETTLED_AT_ONCE", 2)
    settle_all()
    coupon = CouponFactory(tenant=tenant)
    for _ in range(3):
        RedemptionFactory(coupon=coupon)
    assert unsettled_since() is not None
    assert [settle_changes(AT), settle_changes(AT)] == [True, False]
    assert unsettled_since() is None


@pytest.mark.django_db(transaction=True)
def test_the_worker_settles_what_is_recent():
    RedemptionFactory(coupon=CouponFactory(tenant=TenantFactory()))
    assert unsettled_since() is not None
    summary = BackgroundWorker(only={"settle changes"}).run_until_idle()
    assert (summary.slices["settle changes"], summary.failures) == (1, 0)
    assert unsettled_since() is None


@pytest.mark.django_db(transaction=True)
def test_nothing_settles_while_somebody_looks_for_it():
    RedemptionFactory(coupon=CouponFactory(tenant=TenantFactory()))
    with transaction.atomic():
        take_lock(Lock.SETTLING, is_shared=True)
        assert in_thread(lambda: settle_changes(AT)).result(PATIENCE) is False
        assert unsettled_since() is not None
    settle_all()
    assert unsettled_since() is None


@pytest.mark.django_db(transaction=True)
def test_what_settles_waits_for_nobody_who_deletes_changes():
    """It holds the lock that changes of a coupon's segments wait for."""
    tenant, other = TenantFactory(), TenantFactory()
    RedemptionFactory(coupon=CouponFactory(tenant=tenant))
    RedemptionFactory(coupon=CouponFactory(tenant=other))
    with transaction.atomic():
        delete_batch(Change, "tenant_id = {tenant}", tenant.pk, 100)
        assert in_thread(lambda: settle_changes(AT)).result(PATIENCE) is False
        assert ("redemption", "created", False) in places()
    assert unsettled_since() is None


@pytest.mark.django_db(transaction=True)
def test_an_erasure_waits_for_changes_that_settle():
    """A statement that waits for a row which somebody moves finds it neither where it was nor where it is."""
    tenant = TenantFactory()
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    Customer.objects.filter(pk=customer.pk).update(first_name="Marked")
    with transaction.atomic():
        settle_changes(AT)
        erase = partial(erase_customer, tenant_id=tenant.pk, external_id="C1", requested_by="", at=AT)
        erasing = in_thread(erase)
        wait_for_a_lock()
    erasing.result(PATIENCE)
    assert Change.objects.filter(object="customer").exists()
    assert not Change.objects.filter(after__first_name="Marked").exists()


@pytest.mark.django_db(transaction=True)
def test_the_removal_of_a_tenant_ends_while_nothing_moves():
    tenant, other = TenantFactory(), TenantFactory()
    RedemptionFactory(coupon=CouponFactory(tenant=other))
    with transaction.atomic():
        settle_changes(AT)
        removing = in_thread(lambda: list(remove_tenant_rows(tenant.pk)))
        wait_for_a_lock()
    removing.result(PATIENCE)
    assert not Change.objects.filter(tenant_id=tenant.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_a_removal_that_meets_no_change_before_its_last_step_deletes_all():
    """Nothing but changes is left, and all of them move before their batches."""
    tenant = TenantFactory()
    Change.objects.filter(tenant=tenant).delete()
    for name in ("one", "two", "three"):
        Tenant.objects.filter(pk=tenant.pk).update(name=name)
    with transaction.atomic():
        settle_changes(AT)
        removing = in_thread(lambda: list(remove_tenant_rows(tenant.pk, batch=1)))
        wait_for_a_lock()
    removing.result(PATIENCE)
    assert not Change.objects.filter(tenant_id=tenant.pk).exists()


@pytest.mark.django_db
def test_the_migration_keeps_all_changes_both_ways(tenant):
    """Triggers of the former release go on writing meanwhile; what they write lies in its month at once."""
    migration = import_module("core.journal.migrations.0007_recent_changes")
    editor = SimpleNamespace(connection=connection)
    RedemptionFactory(coupon=CouponFactory(tenant=tenant), redeemed_at=AT)
    assert any(is_recent for _, _, is_recent in places())
    written, counted = all_changes(), redeemed(tenant)
    migration.unite(None, editor)
    install_after_migrate(using=connection.alias)
    before = all_changes()
    assert [one | {"after": None} for one in before] == [one | {"after": None} for one in written]
    assert all(one["after"] for one in before if one["kind"] == "created")
    CustomerFactory(tenant=tenant)
    for _ in range(2):  # as when it is killed before Django notes that it was applied
        migration.divide(None, editor)
    assert redeemed(tenant) == counted == 1
    Customer.objects.update(first_name="Ann")
    assert [(kind, is_recent) for name, kind, is_recent in places() if name == "customer"] == [
        ("created", False),
        ("updated", False),
    ]
    assert all_changes()[: len(before)] == before
    install_triggers(recorded())
    Customer.objects.update(first_name="Bob")
    assert places()[-1] == ("customer", "updated", True)
