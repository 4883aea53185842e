"""Recent changes settle: they move into their months, and readers see each of them once."""

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
from core.journal.declarations import recorded
from core.journal.installation import install_after_migrate, install_triggers
from core.journal.models import Change
from core.journal.partitions import RECENT, make_partitions
from core.journal.settling import settle_all, settle_changes, unsettled_since
from core.sql.locks import Lock, take_lock
from core.tenancy.models import Tenant
from core.tenancy.removal import delete_batch, remove_tenant_rows
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
    RedemptionFactory(coupon=CouponFactory(tenant=tenant))
    before = all_changes()
    assert any(is_recent for _, _, is_recent in places())
    assert settle_changes(AT) is False
    assert not any(is_recent for _, _, is_recent in places())
    assert all_changes() == before
    assert unsettled_since() is None


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
    before, counted = all_changes(), redeemed(tenant)
    migration.unite(None, editor)
    install_after_migrate(using=connection.alias)
    assert all_changes() == before
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
