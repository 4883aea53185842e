"""The effects of random shops: what pages show is what the API answers, and what the change then does."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from accounts.identity.scopes import (
    CATEGORY_MANAGE,
    CATEGORY_PUBLISH,
    CATEGORY_UNPUBLISH,
    COUPON_READ,
    SEGMENT_READ,
)
from accounts.models import Site
from catalog.models import Category
from core.json_types import JsonObject
from segments.models import ItemAssignment, Segment
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponCategoryFactory, CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.linked_numbers import assert_listed

pytestmark = pytest.mark.usefixtures("real_time")
SERVICE = "/customer-segment/acme"
SEEDS = range(2)


@pytest.fixture
def reader(service_api: Callable[..., Api], site: Site) -> Api:
    return service_api(SEGMENT_READ, COUPON_READ)


def build(site: Site, chance: random.Random) -> None:
    """Make ten categories, five segments, eight customers and six coupons that have to do with each other."""
    tenant = site.tenant
    categories: list[Category] = []
    for number in range(10):
        parent = chance.choice([None, *categories])
        categories.append(
            CategoryFactory(
                tenant=tenant,
                parent=Category.objects.get(pk=parent.pk) if parent else None,
                external_id=f"K{number}",
                is_published=chance.random() < 0.8,
            )
        )
    segments = [
        SegmentFactory(
            site=site, external_id=f"S{number}", status="ACTIVE" if chance.random() < 0.8 else "INACTIVE"
        )
        for number in range(5)
    ]
    for category in categories:
        CategoryAssignmentFactory(category=category, product=ProductFactory(tenant=tenant))
        for segment in chance.sample(segments, chance.randint(0, 2)):
            ItemAssignmentFactory(
                segment=segment,
                product=None,
                category=category,
                includes_subcategories=chance.random() < 0.5,
            )
    for _ in range(8):
        customer = CustomerFactory(tenant=tenant)
        for segment in chance.sample(segments, chance.randint(0, 3)):
            CustomerAssignmentFactory(segment=segment, customer=customer)
    for number in range(6):
        coupon = CouponFactory(
            tenant=tenant, is_segment_restricted=number < 3, is_category_restricted=number >= 3
        )
        for segment in chance.sample(segments, chance.randint(1, 2)) if number < 3 else ():
            CouponSegmentFactory(coupon=coupon, segment=segment)
        for category in chance.sample(categories, chance.randint(1, 2)) if number >= 3 else ():
            CouponCategoryFactory(coupon=coupon, category=category)


def shown(page: Any) -> dict[str, int]:
    """Return the numbers of a page by their texts."""
    assert page.status_code == 200
    return {fact.text: int(fact.number.replace(",", "")) for fact in page.context["facts"]}


def one_of(facts: dict[str, int], *texts: str) -> int:
    """Return the number that has the singular or the plural text; none is zero."""
    return sum(facts.get(text, 0) for text in texts)


def value(effects: JsonObject, *names: str) -> int:
    for name in names:
        effects = effects[name]
    assert effects["exact"] is True
    number: int = effects["value"]
    return number


@pytest.mark.parametrize("seed", SEEDS)
def test_pages_about_segments_show_what_the_api_answers(
    staff_browser: Client, reader: Api, site: Site, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- the same shops in every run
    build(site, chance)
    segments = list(Segment.objects.order_by("external_id"))
    for number in (1, 1, 2, 3, 5):
        chosen = chance.sample(segments, number)
        ids = [segment.external_id for segment in chosen]
        for change, action in (("DELETE", "delete_selected"), ("DEACTIVATE", "deactivate")):
            if change == "DEACTIVATE":  # the page leaves out those that are not active
                ids = [each.external_id for each in chosen if each.status == "ACTIVE"]
            if not ids:
                continue
            answer = reader.post(f"{SERVICE}/segment-effects", {"segmentIds": ids, "change": change})
            assert answer.status_code == 200, answer.content
            effects = answer.json()
            with transaction.atomic():
                selection = {"action": action, "_selected_action": [each.pk for each in chosen]}
                page = staff_browser.post(reverse("admin:segments_segment_changelist"), selection)
                transaction.set_rollback(True)
            losing, stopping = (
                value(effects, "members", "losing"),
                value(effects, "dependents", "coupon", "stopping"),
            )
            if change == "DEACTIVATE" and not losing and not stopping:
                assert page.status_code == 302  # nobody loses anything: done without a question
                continue
            facts = shown(page)
            assert one_of(facts, "customer loses it", "customers lose it") == losing
            assert one_of(facts, "coupon stops working", "coupons stop working") == stopping
            assert page.context["versions"] == effects["versions"]
            assert_listed(staff_browser, page.context["facts"])
            details = [fact.details for fact in page.context["facts"]]
            if losing:
                kept, none = (value(effects, "members", name) for name in ("keepingAnother", "losingAll"))
                keeps, sees = ("keeps", "keep")[kept != 1], ("sees", "see")[none != 1]
                assert f"{kept} {keeps} another segment · {none} {sees} nothing special any more" in details
            if gone := value(effects, "items", "disappearingCategories"):
                affected = value(effects, "items", "affectedCustomers")
                category, customer = (
                    ("category disappears", "categories disappear")[gone != 1],
                    ("customer", "customers")[affected != 1],
                )
                assert f"{gone} {category} · for {affected} {customer}" in details
            if change == "DELETE":
                items = value(effects, "items", "products") + value(effects, "items", "categories")
                assert one_of(facts, "product or category in it", "products and categories in it") == items


def held_categories() -> dict[str, set[str]]:
    """Return which shown categories each active segment holds, as rules of the contract say it in Python."""
    rows = {category.pk: category for category in Category.objects.all()}

    def line(category: Category) -> list[Category]:
        above = rows.get(category.parent_id)
        return [category, *(line(above) if above else [])]

    held: dict[str, set[str]] = {}
    for assignment in ItemAssignment.objects.filter(
        segment__status="ACTIVE", category__isnull=False
    ).select_related("segment"):
        for category in rows.values():
            ways = line(category)
            is_held = assignment.category_id == category.pk or (
                assignment.includes_subcategories and assignment.category_id in [each.pk for each in ways]
            )
            if is_held and all(each.is_published for each in ways):
                held.setdefault(assignment.segment.external_id, set()).add(category.external_id)
    return held


def shown_categories() -> set[str]:
    return {
        each.external_id
        for each in Category.objects.all()
        if each.is_published and all(above.is_published for above in each.get_ancestors().visible())
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_effects_of_categories_are_what_the_change_does(
    reader: Api, service_api: Callable[..., Api], site: Site, seed: int
) -> None:
    chance = random.Random(100 + seed)  # noqa: S311 -- the same shops in every run
    build(site, chance)
    writer = service_api(CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH)
    for category in Category.objects.order_by("external_id"):
        address = f"/category/acme/categories/{category.external_id}"
        inside = {each.external_id for each in category.get_descendants(include_self=True)}
        targets = sorted({f"K{number}" for number in range(10)} - inside)
        parent = chance.choice([None, *targets])
        requests: list[tuple[JsonObject, Callable[[], object]]] = [
            (
                {"change": "DELETE", "withSubcategories": True},
                lambda: writer.delete(address, withSubcategories="true"),  # noqa: B023 -- called in this turn
            ),
            ({"change": "DELETE"}, lambda: writer.delete(address)),  # noqa: B023
            ({"change": "UNPUBLISH"}, lambda: writer.patch(address, {"published": False})),  # noqa: B023
            ({"change": "PUBLISH"}, lambda: writer.patch(address, {"published": True})),  # noqa: B023
            (
                {"change": "MOVE", **({"parentId": parent} if parent else {})},
                lambda: writer.patch(address, {"parentId": parent}),  # noqa: B023
            ),
        ]
        for body, make in requests:
            answer = reader.post(f"{SERVICE}/category-effects", {"categoryId": category.external_id, **body})
            assert answer.status_code == 200, answer.content
            effects = answer.json()
            before, was_shown = held_categories(), shown_categories()
            with transaction.atomic():
                made = make()
                assert made.status_code == 204, made.content
                after, is_shown = held_categories(), shown_categories()
                transaction.set_rollback(True)
            context = (category.external_id, body)
            assert value(effects, "hiding") == len(was_shown - is_shown), context
            assert value(effects, "showing") == len(is_shown - was_shown), context
            losing = {name for name, held in before.items() if held - after.get(name, set())}
            gaining = {name for name, held in after.items() if held - before.get(name, set())}
            assert set(effects["losingSegments"]) == losing, context
            assert set(effects["gainingSegments"]) == gaining, context


@pytest.mark.parametrize("seed", SEEDS)
def test_pages_about_categories_show_what_the_api_answers(
    staff_browser: Client, reader: Api, site: Site, seed: int
) -> None:
    chance = random.Random(200 + seed)  # noqa: S311 -- the same shops in every run
    build(site, chance)
    for category in Category.objects.order_by("external_id"):
        body = {"categoryId": category.external_id, "change": "DELETE", "withSubcategories": True}
        effects = reader.post(f"{SERVICE}/category-effects", body).json()
        page = staff_browser.get(reverse("admin:catalog_category_delete", args=[category.pk]))
        facts = shown(page)
        assert one_of(facts, "category, with those below it", "categories, with those below them") == value(
            effects, "categories"
        )
        assert one_of(
            facts, "category is hidden from shoppers", "categories are hidden from shoppers"
        ) == value(effects, "hiding")
        assert one_of(facts, "segment loses categories", "segments lose categories") == len(
            effects["losingSegments"]
        )
        stopping = value(effects, "dependents", "coupon", "stopping")
        assert one_of(facts, "coupon stops working", "coupons stop working") == stopping
        assert page.context["versions"] == {category.external_id: effects["version"]}
        assert_listed(staff_browser, page.context["facts"])
    chosen = list(Category.objects.order_by("external_id").values_list("pk", flat=True))[:4]
    for action in ("delete_selected", "unpublish", "publish"):
        with transaction.atomic():
            page = staff_browser.post(
                reverse("admin:catalog_category_changelist"), {"action": action, "_selected_action": chosen}
            )
            transaction.set_rollback(True)
        if page.status_code == 200:  # it asks
            assert_listed(staff_browser, page.context["facts"])
