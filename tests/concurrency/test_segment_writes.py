"""Races between writers of segments, with real threads and commits."""

from datetime import UTC, datetime
from threading import Barrier

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from accounts.models import Customer, Site
from catalog.models import Product
from catalog.revisions import PRODUCT_NAMES, PRODUCTS
from core.bodies import Metadata
from core.errors import VersionConflict
from core.revisions.counting import revision_of
from core.revisions.models import Revision
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.sql.upserts import RowResult
from segments.bodies import CustomerAssignmentBody, ItemAssignmentBody
from segments.errors import SegmentHasAssignments, SegmentNotFound, UnknownCustomer, UnknownItem
from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.operations.customers import upsert_customer_assignments
from segments.operations.items import ItemType, upsert_item_assignments
from segments.operations.segments import delete_segment
from segments.revisions import ITEMS
from tests.concurrency.threads import in_thread
from tests.factories.accounts import CustomerFactory, SiteFactory, TenantFactory
from tests.factories.catalog import ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.waiting import PATIENCE, wait_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2024, 5, 14, 12, tzinfo=UTC)


@pytest.fixture
def committed_site() -> Site:
    return SiteFactory(tenant=TenantFactory(name="racing"), code="main")


@pytest.fixture
def gold(committed_site: Site) -> Segment:
    return SegmentFactory(site=committed_site, external_id="gold")


def member_rows(customers: list[Customer]) -> list[CustomerAssignmentBody]:
    return [CustomerAssignmentBody(customer_id=customer.external_id) for customer in customers]


def add_to_gold(gold: Segment, rows: list[CustomerAssignmentBody]) -> list[RowResult]:
    return upsert_customer_assignments(tenant_id=gold.tenant_id, segment_id="gold", rows=rows, at=AT)


def test_two_upserts_of_the_same_assignments_at_once_create_each_once(gold: Segment) -> None:
    customers = CustomerFactory.create_batch(50, tenant=gold.tenant)
    start = Barrier(4)

    def write(rows: list[CustomerAssignmentBody]) -> list[bool]:
        start.wait(PATIENCE)
        return [outcome.created for outcome in add_to_gold(gold, rows)]

    orders = [customers, customers[::-1]] * 2
    writers = [in_thread(lambda order=order: write(member_rows(order))) for order in orders]
    created = [sum(writer.result(PATIENCE)) for writer in writers]

    assert sum(created) == 50
    assert list(CustomerAssignment.objects.values_list("version", flat=True)) == [4] * 50


def test_an_assignment_that_is_being_added_keeps_the_segment(gold: Segment) -> None:
    customer = CustomerFactory(tenant=gold.tenant)
    with transaction.atomic():
        add_to_gold(gold, member_rows([customer]))
        deletion = in_thread(
            lambda: delete_segment(tenant_id=gold.tenant_id, segment_id="gold", forces=False)
        )
        wait_for_a_lock()
    with pytest.raises(SegmentHasAssignments):
        deletion.result(PATIENCE)

    assert CustomerAssignment.objects.filter(segment=gold).count() == 1


def test_nothing_is_added_to_a_segment_that_is_being_deleted(gold: Segment) -> None:
    product = ProductFactory(tenant=gold.tenant)
    row = ItemAssignmentBody(id=product.external_id)
    with transaction.atomic():
        delete_segment(tenant_id=gold.tenant_id, segment_id="gold", forces=False)
        addition = in_thread(
            lambda: upsert_item_assignments(
                tenant_id=gold.tenant_id,
                segment_id="gold",
                item_type=ItemType.PRODUCT,
                rows=[row],
                at=AT,
            ),
        )
        wait_for_a_lock()
    with pytest.raises(SegmentNotFound):
        addition.result(PATIENCE)

    assert not ItemAssignment.objects.exists()


def test_a_customer_that_is_being_deleted_is_refused_and_spoils_no_other(gold: Segment) -> None:
    leaving, staying = CustomerFactory.create_batch(2, tenant=gold.tenant)
    with transaction.atomic():
        Customer.objects.filter(pk=leaving.pk)._raw_delete("default")
        addition = in_thread(lambda: add_to_gold(gold, member_rows([leaving, staying])))
        wait_for_a_lock()
    refused, added = addition.result(PATIENCE)

    assert isinstance(refused.error, UnknownCustomer)
    assert (added.error, added.created) == (None, True)
    assert CustomerAssignment.objects.get().customer == staying


def test_a_product_that_is_being_deleted_is_refused(gold: Segment) -> None:
    product = ProductFactory(tenant=gold.tenant)
    row = ItemAssignmentBody(id=product.external_id)
    with transaction.atomic():
        Product.objects.filter(pk=product.pk)._raw_delete("default")
        addition = in_thread(
            lambda: upsert_item_assignments(
                tenant_id=gold.tenant_id,
                segment_id="gold",
                item_type=ItemType.PRODUCT,
                rows=[row],
                at=AT,
            ),
        )
        wait_for_a_lock()
    [refused] = addition.result(PATIENCE)

    assert isinstance(refused.error, UnknownItem)
    assert not ItemAssignment.objects.exists()


@pytest.mark.parametrize("changed", ["customer", "segment"])
def test_who_is_being_changed_is_assigned_afterwards(gold: Segment, changed: str) -> None:
    customer = CustomerFactory(tenant=gold.tenant)
    row: Customer | Segment = customer if changed == "customer" else gold
    with transaction.atomic():
        type(row)._base_manager.select_for_update().get(pk=row.pk)
        addition = in_thread(lambda: add_to_gold(gold, member_rows([customer])))
        wait_for_a_lock()
        type(row)._base_manager.filter(pk=row.pk).update(version=7)
    [added] = addition.result(PATIENCE)

    assert (added.error, added.created) == (None, True)
    assert CustomerAssignment.objects.get().customer == customer


def test_of_two_writers_who_expect_the_same_version_the_second_is_refused(gold: Segment) -> None:
    assignment = CustomerAssignmentFactory(segment=gold, version=3)
    row = CustomerAssignmentBody(customer_id=assignment.customer.external_id, metadata=Metadata(version=3))
    with transaction.atomic():
        [first] = add_to_gold(gold, [row])
        writing = in_thread(lambda: add_to_gold(gold, [row]))
        wait_for_a_lock()
    [second] = writing.result(PATIENCE)

    assert first.error is None
    assert isinstance(second.error, VersionConflict)
    assert (second.error.expected, second.error.stored) == (3, 4)
    assert CustomerAssignment.objects.get().version == 4


def revision(*subjects: int, tenant_id: int) -> int:
    found = revision_of(*subjects, tenant=param(tenant_id))
    [(count,)] = fetch_rows(sql("SELECT {found}", found=found))
    return count


def test_writers_count_the_revision_without_waiting_for_each_other(gold: Segment) -> None:
    tenant_id = gold.tenant_id
    before = revision(gold.pk, ITEMS, tenant_id=tenant_id)
    with transaction.atomic():
        ItemAssignmentFactory(segment=gold)
        in_thread(lambda: ItemAssignmentFactory(segment=gold)).result(PATIENCE)
        assert revision(gold.pk, ITEMS, tenant_id=tenant_id) > before
    in_thread(lambda: ItemAssignmentFactory(segment=gold)).result(PATIENCE)

    assert revision(gold.pk, tenant_id=tenant_id) == revision(ITEMS, tenant_id=tenant_id) + 1
    assert revision(ITEMS, tenant_id=tenant_id) == 3
    assert Revision.objects.filter(tenant=tenant_id, subject=gold.pk).count() == 2


def test_a_change_that_is_rolled_back_is_not_counted(gold: Segment) -> None:
    before = revision(gold.pk, tenant_id=gold.tenant_id)
    with transaction.atomic():
        ItemAssignmentFactory(segment=gold)
        transaction.set_rollback(True)

    assert revision(gold.pk, tenant_id=gold.tenant_id) == before


def test_a_segment_that_comes_back_goes_on_counting(gold: Segment) -> None:
    """Its key is the same, and the tag of what it held before must not be."""
    before = revision(gold.pk, tenant_id=gold.tenant_id)
    Segment.objects.filter(pk=gold.pk).delete()
    gold.save(force_insert=True)

    assert revision(gold.pk, tenant_id=gold.tenant_id) == before + 2


def test_every_entry_point_counts_the_revision(gold: Segment) -> None:
    """Cascades and plain SQL too, a statement once for each subject, and rows of other tenants not."""
    products = [ProductFactory(tenant=gold.tenant) for _ in range(3)]
    for product in products:
        ItemAssignment.objects.create(tenant=gold.tenant, segment=gold, product=product)
    quiet = TenantFactory(name="quiet")

    def counted(statement: str) -> list[int]:
        subjects = (gold.pk, ITEMS, PRODUCTS, PRODUCT_NAMES)
        before = [revision(subject, tenant_id=gold.tenant_id) for subject in subjects]
        with connection.cursor() as cursor:
            cursor.execute(statement)
        after = [revision(subject, tenant_id=gold.tenant_id) for subject in subjects]
        return [new - old for old, new in zip(before, after, strict=True)]

    assert counted("UPDATE catalog_product SET mixins = '{\"a\": 1}'") == [0, 0, 1, 0]
    assert counted('UPDATE catalog_product SET name = \'{"en": "New"}\'') == [0, 0, 1, 1]
    assert counted("DELETE FROM catalog_product") == [1, 1, 1, 0]
    assert not ItemAssignment.objects.exists()
    assert not Revision.objects.filter(tenant=quiet).exists()


def test_membership_alone_counts_nothing(gold: Segment) -> None:
    before = Revision.objects.aggregate(total=Sum("count"))
    CustomerAssignmentFactory(segment=gold)

    assert Revision.objects.aggregate(total=Sum("count")) == before
