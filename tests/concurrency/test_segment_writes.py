"""Races between writers of segments, with real threads and commits."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import Customer, Site
from catalog.models import Product
from core.bodies import Metadata
from core.errors import VersionConflict
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.sql.upserts import RowResult
from segments.bodies import CustomerAssignmentBody, ItemAssignmentBody
from segments.customer_context import Shopper
from segments.errors import SegmentHasAssignments, SegmentNotFound, UnknownCustomer, UnknownItem
from segments.models import AssortmentRevision, CustomerAssignment, ItemAssignment, Segment
from segments.operations.customers import upsert_customer_assignments
from segments.operations.items import ItemType, upsert_item_assignments
from segments.operations.segments import delete_segment
from segments.visibility import resolve
from tests.factories.accounts import CustomerFactory, SiteFactory, TenantFactory
from tests.factories.catalog import ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2024, 5, 14, 12, tzinfo=UTC)


@pytest.fixture
def committed_site() -> Site:
    return SiteFactory(tenant=TenantFactory(name="racing"), code="main")


@pytest.fixture
def gold(committed_site: Site) -> Segment:
    return SegmentFactory(site=committed_site, external_id="gold")


def in_thread(pool: ThreadPoolExecutor, work: Callable[[], Any]) -> Future[Any]:
    """Run the work in a thread with a connection of its own, closed afterwards."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return pool.submit(run)


def wait_for_a_waiter() -> None:
    """Return when another session waits for a lock."""
    for _ in range(500):
        if fetch_rows(Sql("SELECT 1 FROM pg_locks WHERE NOT granted")):
            return
        Event().wait(0.01)
    raise AssertionError("Nobody waits for a lock.")


def member_rows(customers: list[Customer]) -> list[CustomerAssignmentBody]:
    return [CustomerAssignmentBody(customer_id=customer.external_id) for customer in customers]


def add_to_gold(gold: Segment, rows: list[CustomerAssignmentBody]) -> list[RowResult]:
    return upsert_customer_assignments(tenant_id=gold.tenant_id, segment_id="gold", rows=rows, at=AT)


def test_two_upserts_of_the_same_assignments_at_once_create_each_once(gold: Segment) -> None:
    customers = CustomerFactory.create_batch(50, tenant=gold.tenant)
    start = Barrier(4)

    def write(rows: list[CustomerAssignmentBody]) -> list[bool]:
        start.wait(10)
        return [outcome.created for outcome in add_to_gold(gold, rows)]

    with ThreadPoolExecutor(4) as pool:
        orders = [customers, customers[::-1]] * 2
        writers = [in_thread(pool, lambda order=order: write(member_rows(order))) for order in orders]
        created = [sum(writer.result(30)) for writer in writers]

    assert sum(created) == 50
    assert list(CustomerAssignment.objects.values_list("version", flat=True)) == [4] * 50


def test_an_assignment_that_is_being_added_keeps_the_segment(gold: Segment) -> None:
    customer = CustomerFactory(tenant=gold.tenant)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            add_to_gold(gold, member_rows([customer]))
            deletion = in_thread(
                pool, lambda: delete_segment(tenant_id=gold.tenant_id, segment_id="gold", forces=False)
            )
            wait_for_a_waiter()
        with pytest.raises(SegmentHasAssignments):
            deletion.result(30)

    assert CustomerAssignment.objects.filter(segment=gold).count() == 1


def test_nothing_is_added_to_a_segment_that_is_being_deleted(gold: Segment) -> None:
    product = ProductFactory(tenant=gold.tenant)
    row = ItemAssignmentBody(id=product.external_id)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            delete_segment(tenant_id=gold.tenant_id, segment_id="gold", forces=False)
            addition = in_thread(
                pool,
                lambda: upsert_item_assignments(
                    tenant_id=gold.tenant_id,
                    segment_id="gold",
                    item_type=ItemType.PRODUCT,
                    rows=[row],
                    at=AT,
                ),
            )
            wait_for_a_waiter()
        with pytest.raises(SegmentNotFound):
            addition.result(30)

    assert not ItemAssignment.objects.exists()


def test_a_customer_that_is_being_deleted_is_refused_and_spoils_no_other(gold: Segment) -> None:
    leaving, staying = CustomerFactory.create_batch(2, tenant=gold.tenant)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Customer.objects.filter(pk=leaving.pk)._raw_delete("default")
            addition = in_thread(pool, lambda: add_to_gold(gold, member_rows([leaving, staying])))
            wait_for_a_waiter()
        refused, added = addition.result(30)

    assert isinstance(refused.error, UnknownCustomer)
    assert (added.error, added.created) == (None, True)
    assert CustomerAssignment.objects.get().customer == staying


def test_a_product_that_is_being_deleted_is_refused(gold: Segment) -> None:
    product = ProductFactory(tenant=gold.tenant)
    row = ItemAssignmentBody(id=product.external_id)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Product.objects.filter(pk=product.pk)._raw_delete("default")
            addition = in_thread(
                pool,
                lambda: upsert_item_assignments(
                    tenant_id=gold.tenant_id,
                    segment_id="gold",
                    item_type=ItemType.PRODUCT,
                    rows=[row],
                    at=AT,
                ),
            )
            wait_for_a_waiter()
        [refused] = addition.result(30)

    assert isinstance(refused.error, UnknownItem)
    assert not ItemAssignment.objects.exists()


@pytest.mark.parametrize("changed", ["customer", "segment"])
def test_who_is_being_changed_is_assigned_afterwards(gold: Segment, changed: str) -> None:
    customer = CustomerFactory(tenant=gold.tenant)
    row: Customer | Segment = customer if changed == "customer" else gold
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            type(row)._base_manager.select_for_update().get(pk=row.pk)
            addition = in_thread(pool, lambda: add_to_gold(gold, member_rows([customer])))
            wait_for_a_waiter()
            type(row)._base_manager.filter(pk=row.pk).update(version=7)
        [added] = addition.result(30)

    assert (added.error, added.created) == (None, True)
    assert CustomerAssignment.objects.get().customer == customer


def test_of_two_writers_who_expect_the_same_version_the_second_is_refused(gold: Segment) -> None:
    assignment = CustomerAssignmentFactory(segment=gold, version=3)
    row = CustomerAssignmentBody(customer_id=assignment.customer.external_id, metadata=Metadata(version=3))
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            [first] = add_to_gold(gold, [row])
            writing = in_thread(pool, lambda: add_to_gold(gold, [row]))
            wait_for_a_waiter()
        [second] = writing.result(30)

    assert first.error is None
    assert isinstance(second.error, VersionConflict)
    assert (second.error.expected, second.error.stored) == (3, 4)
    assert CustomerAssignment.objects.get().version == 4


def test_writers_count_the_revision_without_waiting_for_each_other(gold: Segment) -> None:
    tenant_id = gold.tenant_id
    before = resolve(Shopper(tenant_id), at=AT).revision
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            SegmentFactory(site=gold.site)
            other = in_thread(pool, lambda: SegmentFactory(site=gold.site).external_id)
            assert other.result(10)
            assert resolve(Shopper(tenant_id), at=AT).revision > before
        in_thread(pool, lambda: SegmentFactory(site=gold.site)).result(10)

    after = resolve(Shopper(tenant_id), at=AT).revision
    assert after == before + 3
    assert AssortmentRevision.objects.filter(tenant=tenant_id).count() == 2


def test_a_change_that_is_rolled_back_is_not_counted(gold: Segment) -> None:
    def revision() -> int:
        return resolve(Shopper(gold.tenant_id), at=AT).revision

    before = revision()
    with transaction.atomic():
        with transaction.atomic():
            SegmentFactory(site=gold.site)
            transaction.set_rollback(True)
        assert revision() == before
        SegmentFactory(site=gold.site)
        SegmentFactory(site=gold.site)
    assert revision() == before + 1


def test_every_door_counts_the_revision(gold: Segment) -> None:
    """Cascades and plain SQL too, and rows of other tenants not."""
    product = ProductFactory(tenant=gold.tenant)
    ItemAssignment.objects.create(tenant=gold.tenant, segment=gold, product=product)
    stranger = SegmentFactory(site=SiteFactory(tenant=TenantFactory(name="quiet")))
    revisions = [resolve(Shopper(stranger.tenant_id), at=AT).revision]

    def counted(statement: str) -> int:
        before = resolve(Shopper(gold.tenant_id), at=AT).revision
        with connection.cursor() as cursor:
            cursor.execute(statement)
        return resolve(Shopper(gold.tenant_id), at=AT).revision - before

    assert counted("UPDATE catalog_product SET mixins = '{\"a\": 1}'") == 0
    assert counted('UPDATE catalog_product SET name = \'{"en": "New"}\'') == 1
    assert counted("DELETE FROM catalog_product") == 1
    assert not ItemAssignment.objects.exists()
    revisions.append(resolve(Shopper(stranger.tenant_id), at=AT).revision)
    assert revisions[0] == revisions[1]


def test_membership_alone_counts_nothing(gold: Segment) -> None:
    before = resolve(Shopper(gold.tenant_id), at=AT).revision
    CustomerAssignmentFactory(segment=gold)

    assert resolve(Shopper(gold.tenant_id), at=AT).revision == before
