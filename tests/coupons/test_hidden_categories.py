"""Coupons for categories: one that is unpublished, or below one that is, includes no product."""

import pytest

from catalog.models import Category
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from coupons.eligible_products import products_in_categories
from coupons.models import Coupon
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponCategoryFactory, CouponFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("hidden", "found"), [("top", ""), ("below", "A"), ("", "AB")])
def test_hidden_categories_include_no_product(tenant: Tenant, hidden: str, found: str) -> None:
    top = CategoryFactory(tenant=tenant, external_id="top")
    below = CategoryFactory(parent=top, external_id="below")
    for name, category in (("A", top), ("B", below)):
        CategoryAssignmentFactory(product=ProductFactory(tenant=tenant, external_id=name), category=category)
    Category.objects.filter(external_id=hidden).update(is_published=False)
    coupon = CouponFactory(tenant=tenant, is_category_restricted=True)
    restriction = CouponCategoryFactory(coupon=coupon, category=top, is_excluded=False)
    assert included(coupon) == set(found)
    type(restriction).objects.update(is_excluded=True)
    assert included(coupon) == set()


def included(coupon: Coupon) -> set[str]:
    rows = fetch_rows(products_in_categories(coupon.tenant_id, [coupon.pk], ["A", "B"]))
    return {name for _, name in rows}
