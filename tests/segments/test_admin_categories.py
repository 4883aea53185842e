import pytest
from django.urls import reverse

from accounts.models import User
from segments.models import ItemAssignment
from tests.factories.accounts import SiteFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import ItemAssignmentFactory, SegmentFactory

LIST = reverse("admin:catalog_category_changelist")


def choose(browser, *categories, **answer):
    chosen = {"action": "assign_to_segment", "_selected_action": [category.pk for category in categories]}
    return browser.post(LIST, {**chosen, **answer}, follow=True)


def assigned():
    return sorted(
        ItemAssignment.objects.values_list(
            "segment__external_id", "category__external_id", "includes_subcategories", "version"
        )
    )


def test_selected_categories_are_listed_and_the_segment_is_asked_for(staff_browser, tenant):
    shoes = CategoryFactory(tenant=tenant, external_id="shoes")
    page = choose(staff_browser, shoes).content.decode()
    assert "Assign categories to a segment" in page
    assert "(shoes)" in page
    assert assigned() == []


@pytest.mark.parametrize("includes_subcategories", [False, True])
def test_selected_categories_are_assigned(staff_browser, site, includes_subcategories):
    segment = SegmentFactory(site=site, external_id="gold")
    shoes, hats = (CategoryFactory(tenant=site.tenant, external_id=name) for name in ("shoes", "hats"))
    answer = {"includes_subcategories": "on"} if includes_subcategories else {}
    page = choose(staff_browser, shoes, hats, segment=segment.pk, _assign="Assign", **answer)
    assert "Assigned 2 categories to" in page.content.decode()
    assert assigned() == [
        ("gold", "hats", includes_subcategories, 1),
        ("gold", "shoes", includes_subcategories, 1),
    ]


def test_categories_that_are_assigned_already_are_left_unchanged(staff_browser, site):
    segment = SegmentFactory(site=site, external_id="gold")
    shoes = CategoryFactory(tenant=site.tenant, external_id="shoes")
    ItemAssignmentFactory(segment=segment, product=None, category=shoes, includes_subcategories=True)
    page = choose(staff_browser, shoes, segment=segment.pk, _assign="Assign")
    assert "1 was assigned already" in page.content.decode()
    assert assigned() == [("gold", "shoes", True, 1)]


def test_without_a_segment_nothing_is_assigned(staff_browser, tenant):
    page = choose(staff_browser, CategoryFactory(tenant=tenant), _assign="Assign")
    assert "This field is required." in page.content.decode()
    assert assigned() == []


def test_a_segment_of_another_tenant_cannot_be_named(staff_browser, tenant, other_tenant):
    foreign = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    page = choose(staff_browser, CategoryFactory(tenant=tenant), segment=foreign.pk, _assign="Assign")
    assert "not one of the available choices" in page.content.decode()
    assert assigned() == []


def test_an_operators_categories_of_another_tenant_are_left_out(operator_browser, site, other_tenant):
    segment = SegmentFactory(site=site, external_id="gold")
    own = CategoryFactory(tenant=site.tenant, external_id="own")
    foreign = CategoryFactory(tenant=other_tenant, external_id="foreign")
    choose(operator_browser, own, foreign, segment=segment.pk, _assign="Assign")
    assert assigned() == [("gold", "own", False, 1)]


@pytest.mark.parametrize(
    ("factory", "page", "action"),
    [
        (CategoryFactory, LIST, "assign_to_segment"),
        (ProductFactory, reverse("admin:catalog_product_changelist"), "add_to_segment"),
    ],
)
def test_assigning_items_needs_the_permission_to_add_them(tenant, staff_browser, factory, page, action):
    item = factory(tenant=tenant)
    assert action in staff_browser.get(page).content.decode()
    user = User.objects.get(username="staff")
    user.user_permissions.remove(user.user_permissions.get(codename="add_itemassignment"))
    assert action not in staff_browser.get(page).content.decode()
    segment = SegmentFactory(site__tenant=tenant)
    values = {"action": action, "_selected_action": [item.pk], "_assign": "1", "segment": segment.pk}
    answer = staff_browser.post(page, values, follow=True)
    assert "No action selected." in answer.content.decode()
    assert assigned() == []
