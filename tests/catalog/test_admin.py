import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Site
from catalog.admin import categories as category_admin
from catalog.admin.category_deletion import CategoryDeletion
from catalog.models import SEARCHED_FIELDS, Category, CategoryAssignment, Product
from catalog.operations import categories as category_operations
from catalog.tree_checks import tree_problems
from core.journal.models import Change
from core.json_types import JsonObject
from core.search import matching
from core.tenancy.models import Tenant
from tests.factories.accounts import UserFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponCategoryFactory, CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

CATEGORIES = "admin:catalog_category"
PRODUCTS = "admin:catalog_product"
ASSIGNMENTS = "admin:catalog_categoryassignment"
LEAST = {
    "name_en": "Bikes",
    "type": "STANDARD",
    "own_classification_mixins": "[]",
    "mixins": "{}",
    "mixin_schemas": "{}",
}


def shown(browser: Client, page: str = CATEGORIES, **query: object) -> list[str]:
    response = browser.get(reverse(f"{page}_changelist"), query)
    assert response.status_code == 200
    return [row.external_id for row in response.context["cl"].result_list]


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 200
    return response.context["adminform"].form.errors


def messages_of(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def outline(tenant: Tenant) -> list[str]:
    assert tree_problems(tenant.pk) == []
    rows = Category.objects.filter(tenant=tenant).order_by("lft").values_list("external_id", "level")
    return ["." * (level - 1) + name for name, level in rows]


@pytest.fixture
def shop(tenant: Tenant, other_tenant: Tenant) -> Tenant:
    """bikes > (road, kids > balance), parts; and another tenant's category."""
    bikes = CategoryFactory(tenant=tenant, external_id="bikes", name={"en": "Bikes", "de": "Räder"})
    CategoryFactory(parent=bikes, external_id="road")
    kids = CategoryFactory(parent=bikes, external_id="kids")
    CategoryFactory(parent=kids, external_id="balance")
    CategoryFactory(tenant=tenant, external_id="parts")
    CategoryFactory(tenant=other_tenant, external_id="theirs")
    return tenant


def key(name: str) -> int:
    return Category.objects.get(external_id=name).pk


# --- the tree ---


def test_the_tree_shows_all_categories_of_the_tenant_in_order(staff_browser: Client, shop: Tenant) -> None:
    assert shown(staff_browser) == ["bikes", "road", "kids", "balance", "parts"]


def test_an_operator_sees_the_trees_of_all_tenants_without_hidden_roots(
    operator_browser: Client, shop: Tenant
) -> None:
    assert shown(operator_browser) == ["bikes", "road", "kids", "balance", "parts", "theirs"]


def test_the_script_knows_the_children_of_the_shown_rows(staff_browser: Client, shop: Tenant) -> None:
    page = staff_browser.get(reverse(f"{CATEGORIES}_changelist"))
    [script] = [entry for entry in page.context["media"]._js if "draggable" in str(entry)]
    structure = json.loads(script.attributes["data-context"])["treeStructure"]
    assert structure[str(key("bikes"))] == [key("road"), key("kids")]
    assert structure[str(key("kids"))] == [key("balance")]


def test_a_search_finds_names_ids_and_codes(staff_browser: Client, shop: Tenant) -> None:
    CategoryFactory(parent=Category.objects.get(external_id="parts"), external_id="bells", code="Be-1")
    assert shown(staff_browser, q="räder") == ["bikes"]
    assert shown(staff_browser, q="ki") == ["kids"]
    assert shown(staff_browser, q="be-") == ["bells"]


def test_a_large_tree_opens_level_by_level(
    staff_browser: Client, shop: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(category_admin, "LARGEST_WHOLE_TREE", 4)
    monkeypatch.setattr(category_admin, "ROWS_OF_A_LEVEL", 1)
    assert shown(staff_browser) == ["bikes"]
    assert shown(staff_browser, p=2) == ["parts"]
    monkeypatch.setattr(category_admin, "ROWS_OF_A_LEVEL", 10)
    assert shown(staff_browser, parent__id__exact=key("bikes")) == ["road", "kids"]
    page = staff_browser.get(reverse(f"{CATEGORIES}_changelist"), {"parent__id__exact": key("kids")})
    assert page.context["ways_up"] == [
        ("?", "All categories"),
        (f"?parent__id__exact={key('bikes')}", "Bikes (bikes)"),
        (f"?parent__id__exact={key('kids')}", "Category kids (kids)"),
    ]
    assert shown(staff_browser, q="balance") == ["balance"]


def test_levels_of_another_tenant_stay_closed(
    staff_browser: Client, shop: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    CategoryFactory(parent=Category.objects.get(external_id="theirs"), external_id="theirs-below")
    assert shown(staff_browser, parent__id__exact=key("theirs")) == []


@pytest.mark.parametrize("size", [1, 20])
def test_the_tree_takes_the_same_statements_whatever_its_size(
    staff_browser: Client, tenant: Tenant, size: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(size):
        CategoryFactory(parent=CategoryFactory(tenant=tenant))
    with django_assert_max_num_queries(11):
        assert len(shown(staff_browser)) == 2 * size


# --- dragging ---


def drop(browser: Client, name: str, target: str, side: str) -> HttpResponse:
    """Drop a category, and answer the question that comes before a subtree is moved."""
    answer = ask_to_drop(browser, name, target, side)
    if "X-Question" not in answer:
        return answer
    context = answer.context
    body = {**dict(context["repeated"]), "version": context["version"], "_confirmed": "1"}
    return browser.post(reverse(f"{CATEGORIES}_changelist"), body)


def ask_to_drop(browser: Client, name: str, target: str, side: str) -> HttpResponse:
    body = {"cmd": "move_node", "cut_item": key(name), "pasted_on": key(target), "position": side}
    return browser.post(reverse(f"{CATEGORIES}_changelist"), body)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("left", ["kids", ".balance", "bikes", ".road", "parts"]),
        ("right", ["bikes", ".road", "kids", ".balance", "parts"]),
    ],
)
def test_dragging_moves_the_subtree_and_is_recorded(
    staff_browser: Client, shop: Tenant, side: str, expected: list[str]
) -> None:
    assert drop(staff_browser, "kids", "bikes", side).status_code == 302
    assert outline(shop) == expected
    [moved] = Change.objects.filter(object="category", key=key("kids"), kind="updated")  # one of all columns
    assert (moved.actor_id, moved.source_type) == ("staff", "admin")
    assert moved.after.keys() >= {"parent_id", "version"}


def test_dragging_below_a_category_makes_a_child(staff_browser: Client, shop: Tenant) -> None:
    drop(staff_browser, "kids", "parts", "last-child")
    assert outline(shop) == ["bikes", ".road", "parts", ".kids", "..balance"]


@pytest.mark.usefixtures("real_time")
def test_a_drop_of_a_subtree_asks_with_its_effect_and_is_taken_back(
    staff_browser: Client, shop: Tenant, site: Site
) -> None:
    before = outline(shop)
    segment = SegmentFactory(site=site, external_id="riders")
    CustomerAssignmentFactory(segment=segment)
    ItemAssignmentFactory(
        segment=segment,
        product=None,
        category=Category.objects.get(pk=key("bikes")),
        includes_subcategories=True,
    )
    asked = ask_to_drop(staff_browser, "kids", "parts", "last-child")
    assert outline(shop) == before
    facts = [(fact.number, fact.text, fact.details) for fact in asked.context["facts"]]
    assert facts == [
        ("2", "categories, with those below them", ""),
        ("1", "segment loses categories", "1 member · riders"),
    ]
    drop(staff_browser, "kids", "parts", "last-child")
    assert outline(shop) == ["bikes", ".road", "parts", ".kids", "..balance"]
    [message] = messages_of(staff_browser.get(reverse(f"{CATEGORIES}_changelist")))
    source = message.split('name="id" value="')[1].split('"')[0]
    staff_browser.post(reverse("admin:journal_change_undo_occasion"), {"type": "admin", "id": source})
    assert outline(shop) == before


def test_a_subtree_that_changed_since_the_question_is_not_moved(staff_browser: Client, shop: Tenant) -> None:
    before = outline(shop)
    body = dict(ask_to_drop(staff_browser, "kids", "parts", "last-child").context["repeated"])
    Category.objects.filter(external_id="kids").update(version=7)
    page = reverse(f"{CATEGORIES}_changelist")
    answer = staff_browser.post(page, {**body, "version": "0", "_confirmed": "1"}, follow=True)
    assert "version 0 was sent, version 7 is stored" in messages_of(answer)[0]
    assert outline(shop) == before


@pytest.mark.parametrize(
    ("name", "target", "side", "status"),
    [
        ("bikes", "balance", "last-child", 400),
        ("bikes", "bikes", "left", 400),
        ("bikes", "parts", "first-child", 400),
        ("bikes", "theirs", "left", 404),
        ("theirs", "bikes", "left", 404),
    ],
)
def test_a_drop_that_makes_no_sense_moves_nothing(
    staff_browser: Client, shop: Tenant, name: str, target: str, side: str, status: int
) -> None:
    before = outline(shop)
    assert drop(staff_browser, name, target, side).status_code == status
    assert outline(shop) == before
    assert messages_of(staff_browser.get(reverse(f"{CATEGORIES}_changelist"))) != []


def test_an_operator_cannot_drag_between_tenants(operator_browser: Client, shop: Tenant) -> None:
    assert drop(operator_browser, "kids", "theirs", "last-child").status_code == 404


@pytest.fixture
def reading_browser(tenant: Tenant) -> Client:
    """The admin as somebody sees it who may look at categories and no more."""
    reader = UserFactory(username="reader", tenant=tenant)
    reader.user_permissions.set(Permission.objects.filter(codename="view_category"))
    browser = Client()
    browser.force_login(reader)
    return browser


def test_dragging_needs_the_permission_to_change(reading_browser: Client, shop: Tenant) -> None:
    before = outline(shop)
    assert drop(reading_browser, "kids", "parts", "left").status_code == 403
    assert outline(shop) == before


def test_nobody_is_offered_to_drag_or_add_who_may_not(
    staff_browser: Client, reading_browser: Client, shop: Tenant
) -> None:
    page = reverse(f"{CATEGORIES}_changelist")
    offers = ("drag-handle", "Add below", "Drag a row")
    whole, read_only = (browser.get(page).content.decode() for browser in (staff_browser, reading_browser))
    assert [text in whole for text in offers] == [True, True, True]
    assert [text in read_only for text in offers] == [False, False, False]
    assert "tree-node" in read_only


# --- forms ---


def test_a_category_is_added_below_another(staff_browser: Client, shop: Tenant) -> None:
    page = staff_browser.get(reverse(f"{CATEGORIES}_add"), {"parent_category": key("kids")})
    assert page.context["adminform"].form.initial["parent_category"] == str(key("kids"))
    values = {
        **LEAST,
        "external_id": "scooters",
        "name_de": "Roller",
        "slug_en": "scooters",
        "parent_category": key("kids"),
        "code": "S1",
        "numbers": "N1\n\n N2 \n",
        "valid_from_0": "2024-01-01",
        "valid_from_1": "00:00",
        "is_published": "on",
        "mixins": '{"a": 1}',
    }
    assert staff_browser.post(reverse(f"{CATEGORIES}_add"), values).status_code == 302
    made = Category.objects.get(external_id="scooters")
    assert (made.name, made.slug, made.code, made.version, made.is_published, made.mixins) == (
        {"en": "Bikes", "de": "Roller"},
        {"en": "scooters"},
        "S1",
        0,
        True,
        {"a": 1},
    )
    assert made.valid_from == datetime(2024, 1, 1, tzinfo=UTC)
    assert [number.value for number in made.numbers.all()] == ["N1", "N2"]
    assert outline(shop) == ["bikes", ".road", ".kids", "..balance", "..scooters", "parts"]


def test_texts_of_a_form_are_composed(staff_browser: Client, shop: Tenant) -> None:
    values = {
        **LEAST,
        "external_id": "cafe",
        "name_de": "Cafe\u0301",
        "code": "e\u0301",
        "numbers": "Ne\u0301\n2",
    }
    assert staff_browser.post(reverse(f"{CATEGORIES}_add"), values).status_code == 302
    made = Category.objects.get(external_id="cafe")
    assert (made.name["de"], made.code) == ("Caf\u00e9", "\u00e9")
    assert {number.value for number in made.numbers.all()} == {"N\u00e9", "2"}


def test_a_category_is_changed_and_moved_by_its_form(staff_browser: Client, shop: Tenant) -> None:
    page = reverse(f"{CATEGORIES}_change", args=(key("kids"),))
    form = staff_browser.get(page).context["adminform"].form
    assert form.initial["parent_category"] == key("bikes")
    values = {**LEAST, "parent_category": "", "position": "0", "expected_version": "0"}
    asked = staff_browser.post(page, values)
    assert [fact.number for fact in asked.context["facts"]] == ["2", "2", "2"]
    assert staff_browser.post(page, {**dict(asked.context["repeated"]), "_confirmed": "1"}).status_code == 302
    assert outline(shop) == ["bikes", ".road", "kids", ".balance", "parts"]
    stored = Category.objects.get(external_id="kids")
    assert (stored.name, stored.version, stored.position) == ({"en": "Bikes"}, 1, 0)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"name_en": ""}, "name", "This field is required."),
        ({"parent_category": "theirs"}, "parent_category", "Select a valid choice."),
        ({"parent_category": "balance"}, "parent_category", "cannot be moved under 'balance'"),
        ({"code": "TAKEN"}, "code", "Code 'TAKEN' is already assigned to another category"),
        ({"numbers": "N1"}, "numbers", "ECN 'N1' is already assigned to another category"),
        ({"numbers": "N2\nN2"}, "numbers", "ecn lists the same number twice"),
        ({"slug_de": "räder"}, "slug", "diacritics"),
        ({"own_classification_mixins": '[{"name": "a"}]'}, "own_classification_mixins", "schemaUrl"),
        ({"expected_version": "7"}, "__all__", "Somebody else changed this"),
    ],
)
def test_what_breaks_a_rule_is_shown_beside_its_field(
    staff_browser: Client, shop: Tenant, change: dict[str, str], field: str, message: str
) -> None:
    parts = Category.objects.get(external_id="parts")
    parts.numbers.create(tenant=shop, value="N1")
    parts.code = "Taken"
    parts.save(update_fields=["code"])
    if change.get("parent_category"):
        change = {"parent_category": str(key(change["parent_category"]))}
    values = {**LEAST, "parent_category": key("bikes"), "expected_version": "0", **change}
    before = outline(shop)
    page = reverse(f"{CATEGORIES}_change", args=(key("kids"),))
    errors = errors_of(staff_browser.post(page, values))
    assert message in errors[field][0]
    assert outline(shop) == before
    assert Category.objects.get(external_id="kids").version == 0


def facts_of(page: Any) -> dict[str, str]:
    return {fact.text: fact.number for fact in page.context["facts"]}


def test_another_tenants_category_has_no_page(staff_browser: Client, shop: Tenant) -> None:
    page = reverse(f"{CATEGORIES}_change", args=(key("theirs"),))
    assert staff_browser.get(page).status_code == 302


# --- deletion and actions ---


def test_deleting_tells_what_goes_along_and_takes_the_subtree(staff_browser: Client, shop: Tenant) -> None:
    CategoryAssignmentFactory(
        tenant=shop, product__tenant=shop, category=Category.objects.get(external_id="balance")
    )
    page = reverse(f"{CATEGORIES}_delete", args=(key("bikes"),))
    asked = staff_browser.get(page)
    assert facts_of(asked) == {
        "categories, with those below them": "4",
        "categories are hidden from shoppers": "4",
        "product in it": "1",
        "category assignment": "1",
    }
    assert "version 0" in asked.context["as_of"]
    assert len(outline(shop)) == 5
    answer = staff_browser.post(page, {"_confirmed": "1", "version": "bikes=0"}, follow=True)
    [message] = messages_of(answer)
    assert message.startswith("Deleted Bikes (bikes). ")
    assert outline(shop) == ["parts"]
    assert not CategoryAssignment.objects.exists()
    source = message.split('name="id" value="')[1].split('"')[0]
    staff_browser.post(
        reverse("admin:journal_change_undo_occasion"), {"type": "admin", "id": source, "next": "/admin/"}
    )
    assert len(outline(shop)) == 5
    assert CategoryAssignment.objects.count() == 1


def test_each_number_before_a_deletion_leads_to_the_list_that_it_counts(
    staff_browser: Client, shop: Tenant
) -> None:
    balance, kids = (Category.objects.get(external_id=name) for name in ("balance", "kids"))
    Category.objects.filter(external_id="road").update(is_published=False)
    for category in (balance, kids, Category.objects.get(external_id="parts")):
        CategoryAssignmentFactory(tenant=shop, product__tenant=shop, category=category)
    segment = SegmentFactory(site__tenant=shop)
    SegmentFactory(site=segment.site)
    ItemAssignmentFactory(segment=segment, product=None, category=kids)
    ItemAssignmentFactory(segment=segment, product=None, category=Category.objects.get(external_id="parts"))
    for code, category in (("KIDS", kids), ("PARTS", Category.objects.get(external_id="parts"))):
        coupon = CouponFactory(tenant=shop, code=code, is_category_restricted=True)
        CouponCategoryFactory(coupon=coupon, category=category)
    facts = staff_browser.get(reverse(f"{CATEGORIES}_delete", args=(key("bikes"),))).context["facts"]
    assert {fact.text: fact.number for fact in facts} == {
        "categories, with those below them": "4",
        "categories are hidden from shoppers": "3",
        "products in them": "2",
        "segment loses categories": "1",
        "coupon stops working": "1",
        "category assignments": "2",
        "item assignment": "1",
    }
    listed = {fact.text: staff_browser.get(fact.url).context["cl"] for fact in facts}
    assert {text: str(found.result_count) for text, found in listed.items()} == {
        fact.text: fact.number for fact in facts
    }


@pytest.mark.parametrize("query", ["below=x", "below=99999", "effect_of=,", "below=1\0"])
def test_categories_below_what_is_not_there_are_no_list(
    staff_browser: Client, shop: Tenant, query: str
) -> None:
    answer = staff_browser.get(f"{reverse(f'{CATEGORIES}_changelist')}?{query}", follow=True)
    assert answer.status_code == 200
    assert messages_of(answer)[0].startswith("The address holds a filter")


@pytest.mark.parametrize("version", ["bikes=1", "parts=0", ""])
def test_a_category_that_changed_since_is_not_deleted(
    staff_browser: Client, shop: Tenant, version: str
) -> None:
    page = reverse(f"{CATEGORIES}_delete", args=(key("bikes"),))
    answer = staff_browser.post(page, {"_confirmed": "1", "version": version})
    assert messages_of(answer) == [
        "A category was changed in the meantime, so nothing was deleted. Look at the present numbers."
    ]
    assert answer.context["versions"] == {"bikes": 0}
    assert len(outline(shop)) == 5


def test_deleting_selected_categories_takes_nested_ones_once(staff_browser: Client, shop: Tenant) -> None:
    body: JsonObject = {
        "action": "delete_selected",
        "_selected_action": [key("bikes"), key("kids")],
    }
    page = reverse(f"{CATEGORIES}_changelist")
    asked = staff_browser.post(page, body)
    assert facts_of(asked)["categories, with those below them"] == "4"
    body |= {"_confirmed": "1", "version": [f"{name}={n}" for name, n in asked.context["versions"].items()]}
    answer = staff_browser.post(page, body, follow=True)
    assert messages_of(answer)[0].startswith("Deleted 2 categories. ")
    assert outline(shop) == ["parts"]


def test_too_many_selected_categories_are_refused(
    staff_browser: Client, shop: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CategoryDeletion, "most_deleted", 1)
    body = {"action": "delete_selected", "_selected_action": [key("bikes"), key("kids")]}
    answer = staff_browser.post(reverse(f"{CATEGORIES}_changelist"), body, follow=True)
    assert messages_of(answer) == ["Select at most 1 categories at a time."]


def test_more_categories_than_are_published_at_once_are_refused(
    staff_browser: Client, shop: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(category_operations, "MOST_CATEGORIES", 1)
    body = {"action": "unpublish", "_selected_action": [key("bikes"), key("parts")], "_confirmed": "1"}
    answer = staff_browser.post(reverse(f"{CATEGORIES}_changelist"), body, follow=True)
    [message] = messages_of(answer)
    assert "categories are published or unpublished at once" in message
    assert Category.objects.filter(tenant=shop, is_published=True).count() == 5


def test_selected_categories_are_published_and_unpublished(staff_browser: Client, shop: Tenant) -> None:
    chosen = [key("bikes"), key("parts")]
    for action, is_published, message in [
        ("unpublish", False, "Unpublished 2 categories."),
        ("publish", True, "Published 2 categories."),
        ("publish", True, "Published 0 categories."),
    ]:
        body = {"action": action, "_selected_action": chosen}
        page = staff_browser.post(reverse(f"{CATEGORIES}_changelist"), body, follow=True)
        if action == "unpublish":
            assert ("5", "categories are hidden from shoppers") in [
                (fact.number, fact.text) for fact in page.context["facts"]
            ]
            body |= {"_confirmed": "1", "version": ["bikes=0", "parts=0"]}
            page = staff_browser.post(reverse(f"{CATEGORIES}_changelist"), body, follow=True)
        assert [text.split(" <")[0] for text in messages_of(page)] == [message]
        rows = Category.objects.filter(pk__in=chosen)
        assert set(rows.values_list("is_published", flat=True)) == {is_published}
    assert set(rows.values_list("version", flat=True)) == {2}


# --- products and assignments ---


def test_a_product_is_added_changed_and_deleted(staff_browser: Client, tenant: Tenant) -> None:
    values = {
        "external_id": "phone",
        "name_en": "Phone",
        "code": "P1",
        "is_published": "on",
        "brand_id": "b",
        "label_ids": "new\n\nbio",
        "tax_classes": "DE = REDUCED\nUS=STANDARD",
        "weight_dependent": "true",
        "related_items": '[{"refId": "case"}]',
        "mixins": '{"size": {"unit": "l"}}',
        "mixin_schemas": "size = https://example.com/size.json",
    }
    assert staff_browser.post(reverse(f"{PRODUCTS}_add"), values).status_code == 302
    made = Product.objects.get()
    assert (made.external_id, made.name, made.code, made.details, made.version) == (
        "phone",
        {"en": "Phone"},
        "P1",
        {
            "brandId": "b",
            "labelIds": ["new", "bio"],
            "taxClasses": {"DE": "REDUCED", "US": "STANDARD"},
            "weightDependent": True,
            "relatedItems": [{"refId": "case"}],
        },
        1,
    )
    assert made.mixin_schemas == {"size": "https://example.com/size.json"}
    page = reverse(f"{PRODUCTS}_change", args=(made.pk,))
    fields = staff_browser.get(page).context["adminform"].form
    shown_again = {name: fields[name].value() for name in values if name in fields.fields}
    entered = {**values, "name_en": "Phone", "code": "P2", "expected_version": "1", "brand_id": ""}
    assert {name: shown_again[name] for name in ("label_ids", "tax_classes", "mixin_schemas")} == {
        "label_ids": "new\nbio",
        "tax_classes": "DE = REDUCED\nUS = STANDARD",
        "mixin_schemas": "size = https://example.com/size.json",
    }
    assert "details" not in fields.fields
    assert staff_browser.post(page, entered).status_code == 302
    made.refresh_from_db()
    assert (made.code, made.version, "brandId" in made.details) == ("P2", 2, False)
    CategoryAssignmentFactory(tenant=tenant, product=made)
    delete = reverse(f"{PRODUCTS}_delete", args=(made.pk,))
    assert staff_browser.post(delete, {"post": "yes"}).status_code == 302
    assert not Product.objects.exists()


def test_vendor_and_template_are_fields_and_keep_what_they_do_not_show(
    staff_browser: Client, tenant: Tenant
) -> None:
    details = {"vendor": {"id": "V1", "name": "Dairy", "rank": 7}, "template": {"id": "T1", "version": 2}}
    product = ProductFactory(tenant=tenant, code="P1", details=details)
    page = reverse(f"{PRODUCTS}_change", args=(product.pk,))
    shown = staff_browser.get(page).content.decode()
    assert [f'name="{name}"' in shown for name in ("vendor", "vendor_name", "template_version")] == [
        False,
        True,
        True,
    ]
    entered = {
        "name_en": "Milk",
        "code": "P1",
        "vendor_id": "V2",
        "vendor_name": "",
        "template_id": "T1",
        "template_version": "2",
        "expected_version": product.version,
    }
    assert staff_browser.post(page, entered).status_code == 302
    product.refresh_from_db()
    assert product.details == {"vendor": {"id": "V2", "rank": 7}, "template": {"id": "T1", "version": 2}}
    cleared = {
        **entered,
        "vendor_id": "",
        "template_id": "",
        "template_version": "3",
        "expected_version": product.version,
    }
    assert staff_browser.post(page, cleared).status_code == 302
    product.refresh_from_db()
    assert product.details == {"vendor": {"rank": 7}, "template": {"version": 3}}


ATTRIBUTES = {
    "details": {"relatedItems": [{"refId": "P2", "type": "ACCESSORY", "rank": 1}], "brandId": "B1"},
    "mixins": {"size": {"unit": "l", "box": {"depth": 3}}},
}


def test_a_product_has_fields_where_values_are_plain(staff_browser: Client, tenant: Tenant) -> None:
    product = ProductFactory(tenant=tenant, code="P1", **ATTRIBUTES)
    page = reverse(f"{PRODUCTS}_change", args=(product.pk,))
    html = staff_browser.get(page).content.decode()
    assert 'class="vLargeTextField json"' not in html
    for part in ('value="l"', "box › depth</label>", 'name="related_items-0-refId"', 'value="ACCESSORY"'):
        assert part in html
    entered = {
        "name_en": "Milk",
        "code": "P1",
        "brand_id": "B1",
        "expected_version": product.version,
        "related_items-0-stored": json.dumps(ATTRIBUTES["details"]["relatedItems"][0]),
        "related_items-0-refId": "P3",
        "related_items-0-type": "ACCESSORY",
        "mixins-0-stored": '[["size", "unit"], "l"]',
        "mixins-0-value": "kg",
        "mixins-1-stored": '[["size", "box", "depth"], 3]',
        "mixins-1-value": "deep",
    }
    refused = staff_browser.post(page, entered)
    assert errors_of(refused) == {"mixins": ["size › box › depth: Enter a number such as 12 or 12.5."]}
    assert 'value="deep"' in refused.content.decode()
    assert staff_browser.post(page, {**entered, "mixins-1-value": "4"}).status_code == 302
    product.refresh_from_db()
    assert product.mixins == {"size": {"unit": "kg", "box": {"depth": 4}}}
    assert product.details["relatedItems"] == [{"refId": "P3", "type": "ACCESSORY", "rank": 1}]


def test_who_may_only_look_sees_the_attributes_of_a_product(tenant: Tenant) -> None:
    product = ProductFactory(
        tenant=tenant, code="P1", mixin_schemas={"size": "https://x.org/a"}, **ATTRIBUTES
    )
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.filter(codename="view_product"))
    browser = Client()
    browser.force_login(user)
    html = browser.get(reverse(f"{PRODUCTS}_change", args=(product.pk,))).content.decode()
    assert '{"' not in html
    assert "{&quot;" not in html
    for name, value in (
        ("brandId", "B1"),
        ("relatedItems › 1 › refId", "P2"),
        ("size › box › depth", "3"),
        ("size", "https://x.org/a"),
        ("en", product.name["en"]),
    ):
        assert f"<span>{name}</span> <span>{value}</span>" in html


def test_a_chosen_category_is_shown_with_its_path(staff_browser: Client, tenant: Tenant) -> None:
    top = CategoryFactory(tenant=tenant, external_id="top", name={"en": "Top"})
    below = CategoryFactory(parent=top, external_id="below", name={"en": "Below"})
    page = staff_browser.get(reverse(f"{ASSIGNMENTS}_add"), {"category": below.pk})
    assert "Top &gt; Below (below)" in page.content.decode()


def test_a_taken_code_of_a_product_is_shown_beside_it(staff_browser: Client, tenant: Tenant) -> None:
    ProductFactory(tenant=tenant, code="P1")
    values = {"name_en": "Phone", "code": "P1", "mixins": "{}"}
    assert list(errors_of(staff_browser.post(reverse(f"{PRODUCTS}_add"), values))) == ["code"]


def test_products_are_searched_filtered_and_published(
    staff_browser: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    ProductFactory(tenant=tenant, external_id="phone", name={"en": "Phone", "de": "Telefon"}, code="X1")
    hidden = ProductFactory(tenant=tenant, external_id="case", name={"en": "Case"}, is_published=False)
    ProductFactory(tenant=other_tenant, external_id="theirs")
    assert shown(staff_browser, PRODUCTS) == ["case", "phone"] or shown(staff_browser, PRODUCTS) == [
        "phone",
        "case",
    ]
    ProductFactory(tenant=tenant, external_id="creme", name={"en": "Cream", "fr": "Crème brûlée à la carte"})
    assert shown(staff_browser, PRODUCTS, q="brulee cre") == ["creme"]  # words in any order, no accents
    assert shown(staff_browser, PRODUCTS, q="fr") == []  # the name of a language is no name
    assert shown(staff_browser, PRODUCTS, q="telef") == ["phone"]
    assert shown(staff_browser, PRODUCTS, q="x1") == ["phone"]
    assert shown(staff_browser, PRODUCTS, is_published__exact="0") == ["case"]
    body = {"action": "publish", "_selected_action": [hidden.pk]}
    page = staff_browser.post(reverse(f"{PRODUCTS}_changelist"), body, follow=True)
    [message] = messages_of(page)
    assert message.startswith("Published 1 product. <form")
    hidden.refresh_from_db()
    assert (hidden.is_published, hidden.version) == (True, 2)


def test_names_with_invisible_characters_are_found(staff_browser: Client, tenant: Tenant) -> None:
    ProductFactory(tenant=tenant, external_id="jug", name={"de": "Kaf\u00adfee\u00adkan\u00adne"})
    CategoryFactory(tenant=tenant, external_id="coffee", name={"de": "Kaf\u00adfee\u2060"})
    assert shown(staff_browser, PRODUCTS, q="kaffeekanne") == ["jug"]
    assert shown(staff_browser, CATEGORIES, q="kaffee") == ["coffee"]


def test_a_product_is_put_into_a_category_and_taken_out(staff_browser: Client, shop: Tenant) -> None:
    product = ProductFactory(tenant=shop, external_id="phone")
    page = reverse(f"{ASSIGNMENTS}_add")
    values = {"category": key("kids"), "product": product.pk}
    assert staff_browser.post(page, values).status_code == 302
    made = CategoryAssignment.objects.get()
    assert (made.category.external_id, made.product, made.tenant) == ("kids", product, shop)
    again = errors_of(staff_browser.post(page, values))
    assert again == {"product": ["The product is in this category already."]}
    listed = staff_browser.get(reverse(f"{ASSIGNMENTS}_changelist"), {"category__id__exact": key("kids")})
    assert list(listed.context["cl"].result_list) == [made]
    body = {"action": "delete_selected", "_selected_action": [made.pk], "post": "yes"}
    staff_browser.post(reverse(f"{ASSIGNMENTS}_changelist"), body)
    assert not CategoryAssignment.objects.exists()


def test_assignments_offer_the_tenants_own_rows_only(
    staff_browser: Client, shop: Tenant, other_tenant: Tenant
) -> None:
    theirs = ProductFactory(tenant=other_tenant)
    values = {"category": key("theirs"), "product": theirs.pk}
    errors = errors_of(staff_browser.post(reverse(f"{ASSIGNMENTS}_add"), values))
    assert set(errors) == {"category", "product"}


def test_a_category_is_picked_by_its_path(staff_browser: Client, tenant: Tenant) -> None:
    bikes = CategoryFactory(tenant=tenant, external_id="bikes", name={"de": "Räder", "en": "Bikes"})
    kids = CategoryFactory(parent=bikes, external_id="kids", name={"en": "Kids"})
    small = CategoryFactory(parent=kids, external_id="small", name={"en": "Small"})
    query = {"app_label": "catalog", "model_name": "categoryassignment", "field_name": "category"}
    found = staff_browser.get(reverse("admin:autocomplete"), {**query, "term": "small"}).json()
    assert [row["text"] for row in found["results"]] == ["Bikes > Kids > Small (small)"]
    page = staff_browser.get(reverse(f"{CATEGORIES}_change", args=(small.pk,))).content.decode()
    assert "Bikes &gt; Kids (kids)" in page


@pytest.mark.parametrize(("model", "index"), [(Product, "product_words"), (Category, "category_words")])
def test_the_search_by_words_goes_through_an_index(model: type[Model], index: str, shop: Tenant) -> None:
    with connection.cursor() as cursor:  # few rows are read in another way
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = off")
    found = matching(model._base_manager.all(), "abc", SEARCHED_FIELDS)
    assert f"Bitmap Index Scan on {index}" in found.order_by().explain()
