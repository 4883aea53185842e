"""The counts that triggers keep equal what is counted, after any writes."""

import random
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count

from accounts.models import Customer
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, ItemAssignment, Segment, Tally
from segments.tallies import NOTHING, Held, customers_of, held_by
from tests.factories.accounts import CustomerFactory, LegalEntityFactory, SiteFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

MIGRATION = import_module("segments.migrations.0007_tallies")


def counted() -> dict[int, Held]:
    """Return what the rows themselves say."""
    found: dict[int, dict[str, int]] = {}
    for model, columns in (
        (CustomerAssignment, {"members": "customer", "company_members": "legal_entity"}),
        (ItemAssignment, {"products": "product", "categories": "category"}),
    ):
        numbers: Any = {name: Count(column) for name, column in columns.items()}
        for row in model.objects.values("segment_id").annotate(**numbers).order_by():
            found.setdefault(row.pop("segment_id"), {}).update(row)
    return {key: Held(**numbers) for key, numbers in found.items()}


def kept(tenant: Tenant) -> dict[int, Held]:
    keys = [row.key for row in Tally.objects.exclude(kind="customers")]
    return {key: held for key, held in held_by(tenant.pk, keys).items() if held != NOTHING}


@pytest.mark.parametrize("seed", range(3))
def test_tallies_equal_the_rows_after_any_writes(tenant: Tenant, seed: int) -> None:
    chance = random.Random(seed)
    site = SiteFactory(tenant=tenant)
    customers = CustomerFactory.create_batch(6, tenant=tenant)
    company = LegalEntityFactory(tenant=tenant)
    products = ProductFactory.create_batch(3, tenant=tenant)
    category = CategoryFactory(tenant=tenant)
    segments = SegmentFactory.create_batch(3, site=site)

    def add() -> None:
        segment = chance.choice(segments)
        new = [
            CustomerAssignment(tenant=tenant, segment=segment, customer=one, legal_entity=entity)
            for one in chance.sample(customers, 3)
            for entity in (None, company)
        ]
        CustomerAssignment.objects.bulk_create(new, ignore_conflicts=True)
        items = [ItemAssignment(tenant=tenant, segment=segment, product=one) for one in products]
        items.append(ItemAssignment(tenant=tenant, segment=segment, category=category))
        ItemAssignment.objects.bulk_create(items, ignore_conflicts=True)

    def remove() -> None:
        CustomerAssignment.objects.filter(customer__in=chance.sample(customers, 2)).delete()
        ItemAssignment.objects.filter(product=chance.choice(products)).delete()

    def move() -> None:
        source, target = chance.sample(segments, 2)
        CustomerAssignment.objects.filter(segment=target).delete()
        CustomerAssignment.objects.filter(segment=source).update(segment=target)

    def rewrite() -> None:
        CustomerAssignment.objects.update(version=chance.randint(1, 9))
        ItemAssignment.objects.update(version=chance.randint(1, 9))

    for act in chance.choices([add, add, remove, move, rewrite], k=12):
        act()
        assert kept(tenant) == counted()
    assert counted() != {}
    assert customers_of(tenant.pk) == len(customers)


def test_a_deletion_takes_counts_along(tenant: Tenant) -> None:
    site = SiteFactory(tenant=tenant)
    gold, silver = SegmentFactory.create_batch(2, site=site)
    customer = CustomerFactory(tenant=tenant)
    for segment in (gold, silver):
        CustomerAssignmentFactory(segment=segment, customer=customer)
        ItemAssignmentFactory(segment=segment)
    Segment.objects.filter(pk=gold.pk).delete()
    assert not Tally.objects.filter(key=gold.pk, kind="members").exists()
    assert not Tally.objects.filter(key=gold.pk, kind="products").exists()
    assert held_by(tenant.pk, [silver.pk]) == {silver.pk: Held(members=1, products=1)}
    Customer.objects.filter(pk=customer.pk).delete()
    assert held_by(tenant.pk, [silver.pk])[silver.pk] == Held(members=0, products=1)
    assert customers_of(tenant.pk) == 0


def test_the_migration_counts_what_there_is(tenant: Tenant) -> None:
    company = LegalEntityFactory(tenant=tenant)
    segment = SegmentFactory(site=SiteFactory(tenant=tenant))
    CustomerAssignmentFactory.create_batch(2, segment=segment)
    CustomerAssignmentFactory(segment=segment, legal_entity=company)
    ItemAssignmentFactory(segment=segment)
    kept_before, customers = kept(tenant), customers_of(tenant.pk)
    Tally.objects.all().delete()
    with connection.schema_editor() as editor:
        MIGRATION.count_on(None, editor)
    assert kept(tenant) == kept_before == {segment.pk: Held(members=3, company_members=1, products=1)}
    assert customers_of(tenant.pk) == customers == 3
