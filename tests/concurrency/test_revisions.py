"""Revisions of a tenant that statements of one tenant raise, and those of several."""

import pytest
from django.db import transaction
from django.db.models import F

from catalog.models import Category
from catalog.revisions import PLACEMENTS, TREE
from core.revisions.models import Revision
from tests.concurrency.threads import in_thread
from tests.factories.accounts import TenantFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


def counts(tenant_id: int, subject: int) -> list[int]:
    rows = Revision.objects.filter(tenant=tenant_id, subject=subject)
    return list(rows.order_by("id").values_list("count", flat=True))


def test_writers_take_another_row_than_the_one_that_is_held():
    category = CategoryFactory()

    def place() -> None:
        CategoryAssignmentFactory(category=category, product__tenant=category.tenant)

    with transaction.atomic():
        place()
        in_thread(place).result(PATIENCE)
    place()

    assert sorted(counts(category.tenant_id, PLACEMENTS)) == [1, 2]


def test_a_statement_counts_once_for_each_tenant_whose_rows_it_writes():
    one, other = CategoryFactory.create_batch(2)
    quiet = CategoryFactory()
    before = {node.tenant_id: sum(counts(node.tenant_id, TREE)) for node in (one, other, quiet)}

    Category.objects.filter(tenant__in=[one.tenant, other.tenant]).update(code=F("external_id"))
    Category.objects.filter(tenant=one.tenant).update(code=F("external_id"))
    Category.objects.filter(tenant=TenantFactory()).update(code="none")

    after = {node.tenant_id: sum(counts(node.tenant_id, TREE)) for node in (one, other, quiet)}
    assert [after[tenant] - before[tenant] for tenant in after] == [2, 1, 0]
