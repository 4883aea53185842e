from collections.abc import Callable
from datetime import datetime

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import (
    CATEGORY_MANAGE,
    CATEGORY_PUBLISH,
    CATEGORY_READ_UNPUBLISHED,
    CATEGORY_UNPUBLISH,
)
from catalog import tree
from catalog.models import Category
from catalog.tree_checks import tree_problems
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from core.timestamps import format_time
from tests.conftest import Api
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory

URL = "/category/acme/categories"
ALL = (CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH)
OWN = "ownClassificationMixins"
ENGLISH = {"localizedName": {"en": "Floor Care"}, "published": False}
WHOLE = {
    "id": "floor",
    "localizedName": {"en": "Floor Care", "de": "Bodenpflege"},
    "localizedDescription": {"en": "All for floors"},
    "localizedSlug": {"en": "Floor-Care", "de": "Bodenpflege"},
    "ecn": ["AX6784", "123078"],
    "code": "3A001",
    "validity": {"from": "2022-01-05T12:44:51.871Z", "to": "2022-12-05T23:59:59.000Z"},
    "position": 5,
    "published": True,
    "mixins": {"extra": {"deep": [1, 2]}},
    "metadata": {"mixins": {"extra": "https://example.com/schema.json"}},
}


@pytest.fixture
def api(service_api: Callable[..., Api]) -> Api:
    return service_api(*ALL)


UNSUPPORTED = "contains unsupported languages: ru; allowed are en, de"


def error(code: int, status: str, message: str, *details: str, **more: object) -> JsonObject:
    return {"code": code, "status": status, "message": message, "details": list(details), **more}


def test_a_category_is_read_as_it_was_written(api: Api, tenant: Tenant) -> None:
    created = api.post(URL, WHOLE)
    assert (created.status_code, created.json()) == (201, {"id": "floor"})
    stored = Category.objects.get(tenant=tenant, external_id="floor")
    answer = api.get(f"{URL}/floor")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "floor",
        "type": "STANDARD",
        "localizedName": {"en": "Floor Care", "de": "Bodenpflege"},
        "localizedDescription": {"en": "All for floors"},
        "localizedSlug": {"en": "Floor-Care", "de": "Bodenpflege"},
        "name": "Floor Care",
        "description": "All for floors",
        "code": "3A001",
        "ecn": ["AX6784", "123078"],
        "validity": {"from": "2022-01-05T12:44:51.871Z", "to": "2022-12-05T23:59:59.000Z"},
        "position": 5,
        "published": True,
        "supercategoriesIds": [],
        "mixins": {"extra": {"deep": [1, 2]}},
        "metadata": {
            "createdAt": format_time(stored.created_at),
            "modifiedAt": format_time(stored.created_at),
            "version": 0,
            "mixins": {"extra": "https://example.com/schema.json"},
        },
        "media": [],
    }


def test_the_least_category_is_a_root_with_a_generated_id(api: Api, tenant: Tenant) -> None:
    category_id = api.post(URL, ENGLISH).json()["id"]
    stored = Category.objects.get(tenant=tenant)
    assert stored.external_id == category_id
    assert (stored.is_root, stored.position, stored.is_published) == (True, 0, False)


@pytest.mark.parametrize("parent", [None, "null", "root"])
def test_parent_null_or_root_makes_a_root(api: Api, tenant: Tenant, parent: str | None) -> None:
    api.post(URL, {**ENGLISH, "id": "new", "parentId": parent})
    assert Category.objects.get(tenant=tenant, external_id="new").is_root


def test_a_category_below_others_names_its_parent_and_all_above(api: Api, tenant: Tenant) -> None:
    root = CategoryFactory(tenant=tenant, external_id="a")
    CategoryFactory(parent=root, external_id="b")
    api.post(URL, {**ENGLISH, "id": "c", "parentId": "b", "published": True})
    body = api.get(f"{URL}/c").json()
    assert (body["parentId"], body["supercategoriesIds"]) == ("b", ["a", "b"])


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"localizedName": None}, ["localizedName is missing."]),
        ({"localizedName": {}}, ["localizedName needs a text in at least one language."]),
        ({"localizedName": {"en": " \u200b"}}, ["localizedName needs a text in at least one language."]),
        ({"localizedName": {"ru": "X"}}, [f"Category name {UNSUPPORTED}"]),
        ({"localizedDescription": {"ru": "X"}}, [f"Category description {UNSUPPORTED}"]),
        ({"localizedSlug": {"ru": "X"}}, [f"Category slug {UNSUPPORTED}"]),
        (
            {"localizedSlug": {"de": "für-alle"}},
            ["Category slug contains diacritics: localizedSlug.de has 'ü'"],
        ),
        ({"published": None}, ["published is missing."]),
        ({"ecn": ["A", "A"]}, ["ecn lists the same number twice"]),
        ({"ecn": [""]}, ["ecn[0] must be a text of 1 to 128 characters."]),
        ({"ecn": [7]}, ["ecn[0] must be a text."]),
        ({OWN: [5]}, [f"{OWN}[0] must be an object."]),
        (
            {OWN: [{"name": "!", "schemaUrl": "https://a.b"}]},
            [f"{OWN}[0].name must begin with a letter, a digit or _ and have at most 200 characters."],
        ),
        (
            {OWN: [{"name": "a", "schemaUrl": "ftp://a"}]},
            [f"{OWN}[0].schemaUrl must be an http or https address of at most 2000 characters."],
        ),
        ({"parentId": "nowhere"}, ["Parent category with id 'nowhere' not found"]),
        ({"type": "CLASSIFICATION"}, ["A category of type CLASSIFICATION needs a code"]),
        ({"id": "root"}, ["Category id 'root' is reserved"]),
        (
            {"id": ".."},
            ["id must be 1 to 128 characters out of letters, digits and . _ - : ~ @; . and .. are reserved."],
        ),
        ({"id": "categoryTree"}, ["Category id 'categoryTree' is reserved"]),
    ],
)
def test_what_breaks_a_rule_of_the_service_is_refused(
    api: Api, tenant: Tenant, change: JsonObject, details: list[str]
) -> None:
    answer = api.post(URL, {**ENGLISH, **change})
    assert answer.status_code == 400
    assert answer.json() == error(400, "Bad Request", "Constraint validation failed", *details)
    assert not Category.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"localizedName": 5}, "localizedName"),
        ({"localizedName": {"en": "x" * 501}}, "localizedName.en"),
        ({"position": -1}, "position"),
        ({"position": True}, "position"),
        ({"position": 2_147_483_648}, "position"),
        ({"published": "yes"}, "published"),
        ({"code": "x" * 201}, "code"),
        ({"ecn": "A"}, "ecn"),
        ({"validity": {"from": "2022-01-05"}}, "validity.from"),
        ({"validity": {"from": "2022-01-05T00:00:00Z", "to": "2021-01-05T00:00:00Z"}}, "validity"),
        ({"mixins": []}, "mixins"),
        ({"metadata": {"mixins": 1}}, "metadata.mixins"),
        ({"metadata": {"mixins": {"a": 1}}}, "metadata.mixins.a"),
        ({"id": "a/b"}, "id"),
        ({"parentId": 7}, "parentId"),
        ({"type": "OTHER"}, "type"),
        ({OWN: {}}, OWN),
    ],
)
def test_a_malformed_field_is_named(api: Api, tenant: Tenant, change: JsonObject, field: str) -> None:
    answer = api.post(URL, {**ENGLISH, **change})
    assert answer.status_code == 400
    [detail] = answer.json()["details"]
    assert detail.startswith(f"{field} ") or detail.startswith(f"{field}.")
    assert not Category.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize("body", [None, [], "text", 5])
def test_a_body_that_is_no_object_is_refused(api: Api, tenant: Tenant, body: object) -> None:
    assert api.post(URL, body).status_code == 400


def test_content_language_bounds_the_languages_of_the_body(api: Api, tenant: Tenant) -> None:
    german = {"localizedName": {"de": "Boden"}, "published": False}
    refused = api.post(URL, german, headers={"Content-Language": "en"})
    assert refused.json()["details"] == ["Category name contains unsupported languages: de; allowed are en"]
    assert api.post(URL, german, headers={"Content-Language": "en,de"}).status_code == 201
    assert api.post(URL, german, headers={"Content-Language": "*"}).status_code == 201
    unknown = api.post(URL, german, headers={"Content-Language": "ru"})
    assert unknown.json() == error(
        400,
        "Bad Request",
        "Content-Language validation failed.",
        "Following languages are not supported: 'ru'; the tenant has 'en', 'de'",
    )


def test_a_plain_text_is_in_the_content_language(api: Api, tenant: Tenant) -> None:
    body = {"id": "new", "localizedName": "Boden", "published": True}
    api.post(URL, body, headers={"Content-Language": "de"})
    assert api.get(f"{URL}/new").json()["localizedName"] == {"de": "Boden"}


def test_a_taken_id_code_or_number_is_a_conflict(api: Api, tenant: Tenant) -> None:
    api.post(URL, WHOLE)
    taken_id = api.post(URL, {**ENGLISH, "id": "floor"})
    assert (taken_id.status_code, taken_id.json()) == (
        409,
        error(
            409,
            "Conflict",
            "Error while creating category",
            "Category with id 'floor' already exists",
            resourceId="floor",
        ),
    )
    taken_code = api.post(URL, {**ENGLISH, "code": "3a001"})
    assert taken_code.status_code == 409
    taken_number = api.post(URL, {**ENGLISH, "ecn": ["AX6784"]})
    assert (taken_number.status_code, taken_number.json()["message"]) == (
        409,
        "Duplicated ECN value - given ECN is already assigned to another category.",
    )
    assert Category.objects.filter(tenant=tenant).count() == 1


def test_a_code_is_free_again_in_another_tenant(
    api: Api, tenant: Tenant, other_tenant: Tenant, service_api: Callable[..., Api]
) -> None:
    api.post(URL, WHOLE)
    other = service_api(*ALL, tenant=other_tenant)
    assert other.post("/category/globex/categories", WHOLE).status_code == 201


def test_publishing_needs_its_scope(service_api: Callable[..., Api], tenant: Tenant) -> None:
    manager = service_api(CATEGORY_MANAGE)
    refused = manager.post(URL, {**ENGLISH, "published": True})
    assert (refused.status_code, refused.json()) == (
        403,
        error(
            403,
            "Forbidden",
            "You need a scope for this action.",
            "Required scope(s): category.category_publish",
        ),
    )
    CategoryFactory(tenant=tenant, external_id="shown")
    assert manager.put(f"{URL}/shown", {**ENGLISH, "published": True}).status_code == 204
    refused = manager.patch(f"{URL}/shown", {"published": False})
    assert refused.json()["details"] == ["Required scope(s): category.category_unpublish"]
    assert Category.objects.get(external_id="shown").is_published


@pytest.mark.parametrize(("parameter", "status"), [("true", 400), ("false", 201), ("", 201), ("maybe", 400)])
def test_the_publish_parameter_must_not_contradict_the_body(api: Api, parameter: str, status: int) -> None:
    assert api.post(URL, ENGLISH, publish=parameter).status_code == status


def test_writing_needs_a_scope_and_reading_none(
    public_api: Api, anonymous_api: Api, service_api: Callable[..., Api], tenant: Tenant
) -> None:
    CategoryFactory(tenant=tenant, external_id="a")
    for send in (
        lambda: public_api.post(URL, ENGLISH),
        lambda: public_api.put(f"{URL}/a", ENGLISH),
        lambda: public_api.patch(f"{URL}/a", {}),
        lambda: public_api.delete(f"{URL}/a"),
    ):
        answer = send()
        assert (answer.status_code, answer.json()["message"]) == (403, "You need a scope for this action.")
    assert anonymous_api.get(f"{URL}/a").status_code == 200
    assert Api(None).get(f"{URL}/a").status_code == 401


def test_put_replaces_the_whole_category(api: Api, tenant: Tenant, now: datetime) -> None:
    api.post(URL, WHOLE)
    answer = api.put(f"{URL}/floor", {"localizedName": {"en": "Floors"}, "published": True})
    assert (answer.status_code, answer.content) == (204, b"")
    body = api.get(f"{URL}/floor").json()
    assert body.pop("metadata")["version"] == 1
    assert body == {
        "id": "floor",
        "type": "STANDARD",
        "localizedName": {"en": "Floors"},
        "name": "Floors",
        "ecn": [],
        "position": 5,
        "published": True,
        "supercategoriesIds": [],
        "media": [],
    }


def test_put_creates_what_does_not_exist(api: Api, tenant: Tenant) -> None:
    answer = api.put(f"{URL}/new", {**ENGLISH, "metadata": {"version": 7}})
    assert (answer.status_code, answer.json()) == (201, {"id": "new"})


@pytest.mark.parametrize(("version", "status"), [(0, 204), (1, 409), (None, 204)])
def test_the_version_is_checked_when_given(
    api: Api, tenant: Tenant, version: int | None, status: int
) -> None:
    CategoryFactory(tenant=tenant, external_id="a")
    for send in (
        lambda: api.put(f"{URL}/a", {**ENGLISH, "published": True, "metadata": {"version": version}}),
        lambda: api.patch(f"{URL}/a", {"metadata": {"version": None if version is None else version + 1}}),
    ):
        assert send().status_code == status
        if status == 409:
            break


def test_merge_patch_changes_what_it_names(api: Api, tenant: Tenant) -> None:
    api.post(URL, WHOLE)
    CategoryFactory(tenant=tenant, external_id="top")
    patch = {"localizedName": {"en": "Floors"}, "parentId": "top", "code": None, "metadata": {"version": 0}}
    assert api.patch(f"{URL}/floor", patch).status_code == 204
    body = api.get(f"{URL}/floor").json()
    assert "code" not in body
    assert (body["localizedName"], body["parentId"], body["ecn"], body["position"], body["published"]) == (
        {"en": "Floors", "de": "Bodenpflege"},
        "top",
        ["AX6784", "123078"],
        5,
        True,
    )
    assert body["validity"] == WHOLE["validity"]
    assert tree_problems(tenant.pk) == []


def test_json_patch_changes_what_it_names(api: Api, tenant: Tenant) -> None:
    api.post(URL, WHOLE)
    patch = [
        {"op": "replace", "path": "/ecn", "value": ["N1"]},
        {"op": "remove", "path": "/localizedName/de"},
        {"op": "add", "path": "/mixins/more", "value": {"a": 1}},
    ]
    assert api.patch(f"{URL}/floor", patch).status_code == 204
    body = api.get(f"{URL}/floor").json()
    assert (body["ecn"], body["localizedName"], body["mixins"]) == (
        ["N1"],
        {"en": "Floor Care"},
        {"extra": {"deep": [1, 2]}, "more": {"a": 1}},
    )


def test_a_patch_asks_only_for_what_it_changes(
    api: Api, tenant: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Neither the code nor the external numbers, which stay, are looked for among others or written."""
    api.post(URL, WHOLE)
    api.get(f"{URL}/floor")
    with django_assert_num_queries(6):  # the lock, the category, its place, the row, both ends
        assert api.patch(f"{URL}/floor", {"position": 3}).status_code == 204
    assert api.get(f"{URL}/floor").json()["ecn"] == ["AX6784", "123078"]
    with django_assert_num_queries(5):  # it stays where it is
        assert api.patch(f"{URL}/floor", {"position": 3, "mixins": {"more": 1}}).status_code == 204
    assert api.get(f"{URL}/floor").json()["mixins"]["more"] == 1


def test_external_numbers_get_another_order_by_a_patch(api: Api, tenant: Tenant) -> None:
    api.post(URL, WHOLE)
    for numbers in (["123078", "AX6784"], ["123078"], []):
        assert api.patch(f"{URL}/floor", {"ecn": numbers}).status_code == 204
        assert api.get(f"{URL}/floor").json()["ecn"] == numbers


@pytest.mark.parametrize("change", [{"code": "3a001"}, {"ecn": ["AX6784"]}, {"ecn": ["own", "123078"]}])
def test_a_patch_or_put_to_a_taken_code_or_number_is_a_conflict(
    api: Api, tenant: Tenant, change: dict[str, object]
) -> None:
    api.post(URL, WHOLE)
    other = {**ENGLISH, "code": "own", "ecn": ["own"]}
    assert api.put(f"{URL}/other", other).status_code == 201
    assert api.patch(f"{URL}/other", change).status_code == 409
    assert api.put(f"{URL}/other", {**other, **change}).status_code == 409
    assert api.put(f"{URL}/other", {**other, "code": "OWN"}).status_code == 204


def test_a_patch_cannot_change_the_id(api: Api, tenant: Tenant) -> None:
    CategoryFactory(tenant=tenant, external_id="a")
    assert api.patch(f"{URL}/a", {"id": "b"}).status_code == 400


def test_moving_below_a_descendant_is_refused(api: Api, tenant: Tenant) -> None:
    root = CategoryFactory(tenant=tenant, external_id="a")
    CategoryFactory(parent=root, external_id="b")
    answer = api.patch(f"{URL}/a", {"parentId": "b"})
    assert (answer.status_code, answer.json()["details"]) == (
        400,
        [
            "Category with id 'a' cannot be moved under 'b',"
            " which is the category itself or one of its descendants"
        ],
    )


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_an_unknown_category_is_not_found(api: Api, tenant: Tenant, method: str) -> None:
    answer = api.send(method, f"{URL}/none", {} if method == "patch" else None)
    assert (answer.status_code, answer.json()) == (
        404,
        error(
            404,
            "Not Found",
            "Error while getting category",
            "Category with id 'none' not found",
            resourceId="none",
        ),
    )


def test_deleting_lifts_children_or_takes_them_along(api: Api, tenant: Tenant) -> None:
    for name in ("a", "b"):
        root = CategoryFactory(tenant=tenant, external_id=name)
        CategoryFactory(parent=root, external_id=f"{name}-child")
    assert api.delete(f"{URL}/a").status_code == 204
    assert api.delete(f"{URL}/b", withSubcategories="true").status_code == 204
    assert list(Category.objects.values_list("external_id", "level")) == [("a-child", 1)]
    assert tree_problems(tenant.pk) == []


def test_categories_with_more_products_than_are_deleted_at_once_stay(
    api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All writers of categories would wait meanwhile."""
    root = CategoryFactory(tenant=tenant, external_id="root")
    for number in range(2):
        child = CategoryFactory(parent=root, external_id=f"child-{number}")
        CategoryAssignmentFactory(category=child, product=ProductFactory(tenant=tenant))
    monkeypatch.setattr(tree, "MOST_DELETED_ALONG", 1)
    refused = api.delete(f"{URL}/root", withSubcategories="true")
    assert refused.status_code == 400
    assert "products are assigned to the categories that would be deleted" in str(refused.json()["details"])
    assert Category.objects.count() == 3
    assert api.delete(f"{URL}/root").status_code == 204
    assert api.delete(f"{URL}/child-0").status_code == 204


def test_more_categories_than_are_deleted_at_once_stay(
    api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All writers of categories would wait meanwhile."""
    root = CategoryFactory(tenant=tenant, external_id="root")
    for number in range(2):
        CategoryFactory(parent=root, external_id=f"child-{number}")
    monkeypatch.setattr(tree, "MOST_CATEGORIES", 2)
    refused = api.delete(f"{URL}/root", withSubcategories="true")
    assert refused.status_code == 400
    assert "categories would be deleted, with all that are below" in str(refused.json()["details"])
    assert Category.objects.count() == 3
    monkeypatch.setattr(tree, "MOST_CATEGORIES", 3)
    assert api.delete(f"{URL}/root", withSubcategories="true").status_code == 204
    assert Category.objects.count() == 0


def test_unpublished_categories_show_only_on_request_with_the_scope(
    service_api: Callable[..., Api], public_api: Api, tenant: Tenant
) -> None:
    CategoryFactory(tenant=tenant, external_id="hidden", is_published=False)
    CategoryFactory(tenant=tenant, external_id="shown")
    reader = service_api(CATEGORY_READ_UNPUBLISHED)
    for api in (reader, public_api):
        assert [row["id"] for row in api.get(URL).json()] == ["shown"]
        assert api.get(f"{URL}/hidden").status_code == 404
    assert [row["id"] for row in reader.get(URL, showUnpublished="true").json()] == ["hidden", "shown"]
    assert reader.get(f"{URL}/hidden", showUnpublished="true").status_code == 200
    refused = public_api.get(URL, showUnpublished="true")
    assert (refused.status_code, refused.json()["details"]) == (
        403,
        ["Required scope(s): category.category_read_unpublished"],
    )


def test_classification_mixins_are_inherited_from_the_root_down(api: Api, tenant: Tenant) -> None:
    mixin = {"name": "Size", "schemaUrl": "https://example.com/size.json", "required": True}
    api.post(
        URL,
        {
            **ENGLISH,
            "published": True,
            "id": "top",
            "type": "CLASSIFICATION",
            "code": "T1",
            "ownClassificationMixins": [mixin],
        },
    )
    own = {"name": "Colour", "schemaUrl": "https://example.com/colour.json"}
    api.post(
        URL,
        {
            **ENGLISH,
            "published": True,
            "id": "below",
            "type": "CLASSIFICATION",
            "code": "B1",
            "parentId": "top",
            "ownClassificationMixins": [own],
        },
    )
    body = api.get(f"{URL}/below").json()
    assert body["ownClassificationMixins"] == [{**own, "required": False}]
    assert body["classificationMixins"] == [
        {**mixin, "mixinPath": "class_T1_Size", "sourceCategoryId": "top"},
        {**own, "required": False, "mixinPath": "class_B1_Colour", "sourceCategoryId": "below"},
    ]


def test_accept_language_cuts_names_and_refuses_unknown_languages(api: Api, tenant: Tenant) -> None:
    api.post(URL, WHOLE)
    cut = api.get(f"{URL}/floor", headers={"Accept-Language": "de-CH,de;q=0.9"}).json()
    assert (cut["localizedName"], cut["localizedDescription"]) == (
        {"de": "Bodenpflege"},
        {"en": "All for floors"},
    )
    for path in (URL, f"{URL}/floor", f"{URL}/floor/parents"):
        refused = api.get(path, headers={"Accept-Language": "ru,en"})
        assert (refused.status_code, refused.json()) == (
            400,
            error(
                400,
                "Bad Request",
                "Accept-Language validation failed.",
                "Following languages are not supported: 'ru'; the tenant has 'en', 'de'",
            ),
        )
