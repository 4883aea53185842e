"""A merchandiser drags categories with a real mouse."""

import pytest
from django.contrib.auth.models import Permission
from playwright.sync_api import Page, expect

from accounts.models import User
from catalog.admin import categories as category_admin
from catalog.models import Category
from catalog.tree_checks import tree_problems
from core.tenancy.models import Tenant
from tests.factories.catalog import CategoryFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/catalog/category/"


@pytest.fixture
def shop(tenant: Tenant) -> Tenant:
    """bikes > kids > balance, and parts."""
    bikes = CategoryFactory(tenant=tenant, external_id="bikes")
    kids = CategoryFactory(parent=bikes, external_id="kids")
    CategoryFactory(parent=kids, external_id="balance")
    CategoryFactory(tenant=tenant, external_id="parts")
    return tenant


@pytest.fixture
def tree_page(working_page: Page, merchandiser: User, shop: Tenant) -> Page:
    """The tree as somebody sees it who may keep categories."""
    codes = [f"{action}_category" for action in ("add", "change", "delete")]
    merchandiser.user_permissions.add(*Permission.objects.filter(codename__in=codes))
    working_page.goto(LIST)
    return working_page


def outline(tenant: Tenant) -> list[str]:
    assert tree_problems(tenant.pk) == []
    rows = Category.objects.filter(tenant=tenant).order_by("lft").values_list("external_id", "level")
    return ["." * (level - 1) + name for name, level in rows]


def drag(page: Page, name: str, target: str, height: float, *, asks: bool = False) -> None:
    """Drag a row by its handle onto another, to this part of its height; wait for the answer or new page."""
    start = page.locator("tr", has_text=f"({name})").locator(".drag-handle").bounding_box()
    row = page.locator("tr", has_text=f"({target})").bounding_box()
    assert start is not None
    assert row is not None
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(row["x"] + 60, row["y"] + row["height"] / 2, steps=5)
    page.mouse.move(row["x"] + 60, row["y"] + row["height"] * height, steps=3)
    with page.expect_response("**/category/") if asks else page.expect_navigation():
        page.mouse.up()


def test_a_subtree_is_moved_after_a_question_and_put_back(tree_page: Page, shop: Tenant) -> None:
    drag(tree_page, "kids", "parts", 0.5, asks=True)
    question = tree_page.locator("dialog")
    expect(question).to_contain_text("Move Category kids (kids) below Category parts (parts)?")
    question.get_by_role("button", name="Leave it where it is").click()
    expect(question).to_have_count(0)
    drag(tree_page, "kids", "parts", 0.5, asks=True)
    tree_page.get_by_role("button", name="Move", exact=True).click()
    expect(tree_page.locator(".messagelist")).to_contain_text("Moved Category kids (kids).")
    assert outline(shop) == ["bikes", "parts", ".kids", "..balance"]
    tree_page.locator(".messagelist").get_by_role("button", name="Undo").click()
    expect(tree_page.locator(".messagelist")).to_contain_text("Taken back")
    assert outline(shop) == ["bikes", ".kids", "..balance", "parts"]


def test_a_row_is_dragged_below_and_beside_others(tree_page: Page, shop: Tenant) -> None:
    drag(tree_page, "balance", "parts", 0.5)
    expect(tree_page.locator(".messagelist")).to_contain_text("Moved Category balance (balance).")
    assert outline(shop) == ["bikes", ".kids", "parts", ".balance"]
    drag(tree_page, "parts", "bikes", 0.15)
    assert outline(shop) == ["parts", ".balance", "bikes", ".kids"]
    drag(tree_page, "balance", "kids", 0.9)
    assert outline(shop) == ["parts", "bikes", ".kids", ".balance"]


def test_a_row_dragged_below_itself_stays_and_says_why(tree_page: Page, shop: Tenant) -> None:
    drag(tree_page, "bikes", "balance", 0.5)
    expect(tree_page.locator(".messagelist")).to_contain_text("cannot be moved under 'balance'")
    assert outline(shop) == ["bikes", ".kids", "..balance", "parts"]


def test_branches_close_and_open(tree_page: Page) -> None:
    leaf = tree_page.locator("tr", has_text="(balance)")
    branch = tree_page.locator("tr", has_text="(bikes)").locator(".tree-node")
    expect(leaf).to_be_visible()
    branch.click()
    expect(leaf).to_be_hidden()
    branch.click()
    expect(leaf).to_be_visible()


def test_levels_of_a_large_tree_open_one_by_one(
    tree_page: Page, shop: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(category_admin, "LARGEST_WHOLE_TREE", 2)
    tree_page.reload()
    below = tree_page.locator("tr", has_text="(kids)")
    expect(below).to_have_count(0)
    tree_page.locator("tr", has_text="(bikes)").locator(".field-below a").click()
    expect(below).to_be_visible()
    expect(tree_page.locator(".ways-up")).to_have_text("All categories › Category bikes (bikes)")


def test_a_category_is_added_below_another(tree_page: Page, shop: Tenant) -> None:
    tree_page.locator("tr", has_text="(parts)").get_by_role("link", name="Add below").click()
    tree_page.locator("input[name=name_en]").fill("Bells")
    tree_page.locator("input[name=external_id]").fill("bells")
    tree_page.get_by_role("button", name="Save", exact=True).click()
    expect(tree_page.locator("tr", has_text="(bells)")).to_be_visible()
    assert outline(shop) == ["bikes", ".kids", "..balance", "parts", ".bells"]
