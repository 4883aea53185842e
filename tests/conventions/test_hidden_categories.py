"""What is below an unpublished category is invisible to those who may not read unpublished ones."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse

from accounts.identity import scopes
from accounts.models import Customer, Site
from catalog.models import Category
from tests.conftest import Api
from tests.coupons.conftest import order, reasons
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponCategoryFactory, CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

CATEGORIES = "/category/acme/categories"
TREES = "/category/acme/category-trees"
ITEMS = "/customer-segment/acme/segments/gold/items"


@pytest.fixture
def shop(site: Site) -> Customer:
    """top > below, both with a product, both items of a segment of the customer; coupons for each of them."""
    tenant = site.tenant
    top = CategoryFactory(tenant=tenant, external_id="top", name={"en": "Top"})
    below = CategoryFactory(parent=top, external_id="below", name={"en": "Below"})
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    segment = SegmentFactory(site=site, external_id="gold")
    CustomerAssignmentFactory(segment=segment, customer=customer)
    CategoryAssignmentFactory(
        product=ProductFactory(tenant=tenant, external_id="P1", is_published=True), category=below
    )
    ItemAssignmentFactory(segment=segment, product=None, category=below)
    by_category = CouponFactory(tenant=tenant, code="CATEGORY", is_category_restricted=True)
    CouponCategoryFactory(coupon=by_category, category=top, is_excluded=False)
    by_segment = CouponFactory(tenant=tenant, code="SEGMENT", is_segment_restricted=True)
    CouponSegmentFactory(coupon=by_segment, segment=segment)
    return customer


def ids(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [entry["id"] for entry in answer.json()]


def seen(api: Api, segments: Api, manager: Api) -> dict[str, bool]:
    """Say by which ways the category `below` is found; of segments by the other clients."""
    line = {"items": [{"id": "P1", "amount": 100, "quantity": 1}]}
    tree = f"{ITEMS.rsplit('/', 2)[0]}/items/category-trees"
    found = {
        "read": api.get(f"{CATEGORIES}/below").status_code == 200,
        "list": "below" in ids(api.get(CATEGORIES)),
        "list by code": ids(api.get(CATEGORIES, q="id:below")) == ["below"],
        "search": ids(api.post(f"{CATEGORIES}/search", {"q": "localizedName.en:Below"})) == ["below"],
        "parents": api.get(f"{CATEGORIES}/below/parents").status_code == 200,
        "subcategories": api.get(f"{CATEGORIES}/top/subcategories").status_code == 200,
        "assignments": api.get(f"{CATEGORIES}/below/assignments").status_code == 200,
        "categories of a product": ids(api.get("/category/acme/assignments/references/P1")) == ["below"],
        "trees": "below" in api.get(TREES).text,
        "a tree": "below" in api.get(f"{TREES}/top").text,
        "trees searched": "below" in api.post(f"{TREES}/search", {"categoryIds": ["below"]}).text,
        "the old tree": "below" in api.get(f"{CATEGORIES}/categoryTree").text,
        "a product": api.get("/product/acme/products/P1").json()["categoryIds"] == ["below"],
        "products": ids(api.get("/product/acme/products", q="categoryIds:below")) == ["P1"],
        "segment items": segments.get(ITEMS).json() != [],
        "segment items searched": segments.post(f"{ITEMS}/search", {"q": "item.id:below"}).json() != [],
        "a segment item": segments.get(f"{ITEMS}/CATEGORY/below").status_code == 200,
        "items of all segments": segments.get("/customer-segment/acme/segments/items").json() != [],
        "category trees of segments": segments.get(tree).json() != [],
        "match": manager.post(
            "/customer-segment/acme/segments/match",
            {"items": [{"id": "P1"}], "segmentIds": ["gold"], "siteCode": "main"},
        ).json()
        != [],
    }
    for code in ("CATEGORY", "SEGMENT"):
        answer = segments.post(f"/coupon/acme/coupons/{code}/validation", order(**line))
        found[f"coupon {code}"] = answer.status_code == 200
        if answer.status_code != 200:
            assert "no_eligible_item" in reasons(answer)
    return found


@pytest.mark.parametrize("hidden", ["", "top", "below"])
def test_what_is_below_an_unpublished_category_is_nowhere(
    shop: Customer,
    customer_api: Callable[..., Api],
    anonymous_api: Api,
    service_api: Callable[..., Api],
    hidden: str,
) -> None:
    Category.objects.filter(external_id=hidden).update(is_published=False)
    own = customer_api(shop)
    others = (own, anonymous_api, service_api(scopes.CATEGORY_PUBLISH, scopes.PRODUCT_MANAGE))
    manager = service_api(scopes.SEGMENT_MANAGE)
    for api in others:
        found = seen(api, own, manager)
        if hidden == "below":
            assert found.pop("subcategories")
        assert found == dict.fromkeys(found, not hidden)


def test_staff_of_segments_see_which_hidden_categories_are_assigned(
    shop: Customer, service_api: Callable[..., Api]
) -> None:
    """They edit the assignments; what shoppers would get, match and the trees, leaves them out."""
    Category.objects.filter(external_id="top").update(is_published=False)
    staff = service_api(scopes.SEGMENT_READ)
    assert [entry["item"]["id"] for entry in staff.get(ITEMS).json()] == ["below"]
    assert staff.get(f"{ITEMS}/CATEGORY/below").status_code == 200
    previewed = staff.get("/customer-segment/acme/segments/items", customerId="C1")
    assert (previewed.status_code, previewed.json()) == (200, [])
    body = {"items": [{"id": "P1"}], "segmentIds": ["gold"], "siteCode": "main"}
    manager = service_api(scopes.SEGMENT_MANAGE)
    assert manager.post("/customer-segment/acme/segments/match", body).json() == []
    assert staff.get("/customer-segment/acme/segments/items/category-trees").json() == []
