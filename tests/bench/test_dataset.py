from dataclasses import replace

import pytest
from django.db import connection

from bench.dataset import building, ensure_dataset
from bench.dataset.people import FOREST, SHOP
from catalog.tree_checks import tree_problems
from coupons.models import Coupon
from segments.models import CustomerAssignment, ItemAssignment

pytestmark = pytest.mark.django_db


class Rebuilt(Exception):
    """The data set would be made anew."""


def test_the_data_set_is_kept_until_another_one_is_wanted(small, monkeypatch):
    def rebuild() -> None:
        raise Rebuilt

    monkeypatch.setattr(building, "create_database", rebuild)
    ensure_dataset(small)
    with pytest.raises(Rebuilt):
        ensure_dataset(replace(small, customers=small.customers + 1))
    with pytest.raises(Rebuilt):
        ensure_dataset(small, rebuild=True)


def test_both_trees_are_nested_as_their_parents_say(small):
    assert [tree_problems(tenant) for tenant in (SHOP, FOREST)] == [[], []]


def test_the_data_set_has_the_sizes_of_its_scale(small):
    counts = {}
    with connection.cursor() as cursor:
        for table in ("accounts_customer", "catalog_product", "segments_segment", "coupons_coupon"):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", [SHOP])
            counts[table] = cursor.fetchone()[0]
    assert counts == {
        "accounts_customer": 10_001,  # one more belongs to a single segment
        "catalog_product": 10_000,
        "segments_segment": 240,  # 200, and 40 empty ones to write into
        "coupons_coupon": 1_000,
    }
    assert CustomerAssignment.objects.filter(tenant=SHOP).count() == 100_001


def test_a_customer_belongs_to_five_effective_segments_and_five_closed_ones(small):
    own = CustomerAssignment.objects.filter(customer=7).values_list("segment", flat=True)
    assert sorted(key > 100 for key in own) == [False] * 5 + [True] * 5


def test_a_segment_holds_200_products_and_20_categories(small):
    held = ItemAssignment.objects.filter(segment=1)
    assert held.filter(product__isnull=False).count() == 200
    assert held.filter(category__isnull=False).count() == 20


def test_new_rows_follow_the_generated_ones(small):
    last = Coupon.objects.order_by("id").last()
    created = Coupon.objects.create(
        tenant_id=SHOP, code="NEW", name="New", discount_type="PERCENT", discount_percentage=5
    )
    assert created.pk > last.pk
