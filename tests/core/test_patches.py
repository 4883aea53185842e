import copy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.patches import KEPT_TIMES, FaultyPatch, apply_patch
from tests.conftest import Api
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import SegmentFactory

PROTECTED = ("/id", *KEPT_TIMES)
DOCUMENT = {
    "id": "vip",
    "name": {"en": "Very important"},
    "tags": ["a", "b"],
    "a/b": {"c~d": 1},
    "mixins": {"attributes": {"price": 10, "sizes": [{"cm": 1}, {"cm": 2}]}},
    "metadata": {"version": 3, "createdAt": datetime(2024, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)},
}
CREATED_AT_AS_READ = "2024-01-01T00:00:00.123Z"


def patch(body, document=DOCUMENT):
    """Apply the patch and check that neither it nor the document is changed."""
    document_before, body_before = copy.deepcopy(document), copy.deepcopy(body)
    try:
        return apply_patch(document, body, protected=PROTECTED)
    finally:
        assert (document, body) == (document_before, body_before)


def refusal_of(body, document=DOCUMENT):
    with pytest.raises(FaultyPatch) as refused:
        patch(body, document)
    return refused.value.field, refused.value.message


# JSON Patch


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "replace", "path": "/name", "value": {"en": "New"}}, {"name": {"en": "New"}}),
        ({"op": "replace", "path": "/name/en", "value": None}, {"name": {"en": None}}),
        ({"op": "add", "path": "/status", "value": "ACTIVE"}, {"status": "ACTIVE"}),
        ({"op": "add", "path": "/tags", "value": []}, {"tags": []}),
        ({"op": "add", "path": "/tags/0", "value": "z"}, {"tags": ["z", "a", "b"]}),
        ({"op": "add", "path": "/tags/2", "value": "z"}, {"tags": ["a", "b", "z"]}),
        ({"op": "add", "path": "/tags/-", "value": "z"}, {"tags": ["a", "b", "z"]}),
        ({"op": "replace", "path": "/tags/1", "value": "z"}, {"tags": ["a", "z"]}),
        ({"op": "remove", "path": "/tags/0"}, {"tags": ["b"]}),
        ({"op": "add", "path": "/a~1b/c~0d", "value": 2}, {"a/b": {"c~d": 2}}),
        (
            {"op": "add", "path": "/name/", "value": "empty key"},
            {"name": {"en": "Very important", "": "empty key"}},
        ),
        (
            {"op": "replace", "path": "/mixins/attributes/sizes/1/cm", "value": 5},
            {"mixins": {"attributes": {"price": 10, "sizes": [{"cm": 1}, {"cm": 5}]}}},
        ),
        (
            {"op": "replace", "path": "/metadata/version", "value": 4},
            {"metadata": DOCUMENT["metadata"] | {"version": 4}},
        ),
    ],
)
def test_an_operation_changes_what_its_path_names(operation, changed):
    assert patch([operation]) == DOCUMENT | changed


def test_a_removed_member_is_absent():
    assert "name" not in patch([{"op": "remove", "path": "/name"}])


def test_operations_act_in_order():
    body = [
        {"op": "remove", "path": "/tags"},
        {"op": "add", "path": "/tags", "value": []},
        {"op": "add", "path": "/tags/-", "value": "x"},
        {"op": "add", "path": "/tags/0", "value": "y"},
    ]

    assert patch(body)["tags"] == ["y", "x"]


def test_an_empty_patch_changes_nothing():
    assert patch([]) == DOCUMENT


def test_a_value_added_twice_is_two_values():
    value = {"n": 1}
    body = [
        {"op": "add", "path": "/one", "value": value},
        {"op": "add", "path": "/two", "value": value},
        {"op": "replace", "path": "/one/n", "value": 2},
    ]

    patched = patch(body)

    assert (patched["one"], patched["two"]) == ({"n": 2}, {"n": 1})


@pytest.mark.parametrize(
    ("operation", "field", "message"),
    [
        ("add", "", "Operation 1 of the patch is not an object."),
        ({"op": "add", "value": 1}, "", "Operation 1 of the patch needs a path of at most 1000 characters."),
        (
            {"op": "add", "path": 5, "value": 1},
            "",
            "Operation 1 of the patch needs a path of at most 1000 characters.",
        ),
        (
            {"op": "add", "path": "/" + "x" * 1_000, "value": 1},
            "",
            "Operation 1 of the patch needs a path of at most 1000 characters.",
        ),
        (
            {"op": "move", "path": "/name", "from": "/x"},
            "/name",
            "/name: the operation must be add, remove or replace.",
        ),
        ({"path": "/name"}, "/name", "/name: the operation must be add, remove or replace."),
        ({"op": ["add"], "path": "/name"}, "/name", "/name: the operation must be add, remove or replace."),
        ({"op": "remove", "path": ""}, "", "A path begins with / and names a part of the document."),
        ({"op": "remove", "path": "name"}, "name", "A path begins with / and names a part of the document."),
        ({"op": "remove", "path": "/a~b"}, "/a~b", "/a~b: in a path ~ is written ~0 and / is written ~1."),
        ({"op": "remove", "path": "/a~"}, "/a~", "/a~: in a path ~ is written ~0 and / is written ~1."),
        ({"op": "add", "path": "/x" * 21, "value": 1}, "/x" * 21, "A path has at most 20 parts."),
        (
            {"op": "remove", "path": "/status"},
            "/status",
            "/status does not exist, so remove is not possible.",
        ),
        (
            {"op": "replace", "path": "/status", "value": 1},
            "/status",
            "/status does not exist, so replace is not possible.",
        ),
        (
            {"op": "remove", "path": "/tags/2"},
            "/tags/2",
            "/tags/2 does not exist, so remove is not possible.",
        ),
        (
            {"op": "remove", "path": "/tags/-"},
            "/tags/-",
            "/tags/- does not exist, so remove is not possible.",
        ),
        (
            {"op": "add", "path": "/tags/3", "value": 1},
            "/tags/3",
            "/tags/3 does not name a place in the list.",
        ),
        (
            {"op": "add", "path": "/tags/01", "value": 1},
            "/tags/01",
            "/tags/01 does not name a place in the list.",
        ),
        (
            {"op": "add", "path": "/tags/-1", "value": 1},
            "/tags/-1",
            "/tags/-1 does not name a place in the list.",
        ),
        (
            {"op": "add", "path": "/tags/x", "value": 1},
            "/tags/x",
            "/tags/x does not name a place in the list.",
        ),
        (
            {"op": "add", "path": "/tags/" + "9" * 900, "value": 1},
            "/tags/" + "9" * 900,
            f"/tags/{'9' * 900} does not name a place in the list.",
        ),
        ({"op": "add", "path": "/x/y", "value": 1}, "/x/y", "/x/y: there is nothing that holds this."),
        (
            {"op": "add", "path": "/tags/0/y", "value": 1},
            "/tags/0/y",
            "/tags/0/y: there is nothing that holds this.",
        ),
        ({"op": "add", "path": "/name"}, "/name", "/name: add needs a value."),
        ({"op": "replace", "path": "/name"}, "/name", "/name: replace needs a value."),
    ],
)
def test_an_operation_that_cannot_be_applied_is_refused_with_its_path(operation, field, message):
    assert refusal_of([operation]) == (field, message)


def test_one_faulty_operation_refuses_the_whole_patch():
    body = [{"op": "remove", "path": "/tags"}, {"op": "remove", "path": "/tags"}]

    assert refusal_of(body) == ("/tags", "/tags does not exist, so remove is not possible.")


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ({"op": "replace", "path": "/id", "value": "other"}, "/id"),
        ({"op": "replace", "path": "/id", "value": "vip"}, "/id"),
        ({"op": "remove", "path": "/id"}, "/id"),
        ({"op": "add", "path": "/id/x", "value": 1}, "/id/x"),
        ({"op": "add", "path": "/metadata/modifiedAt", "value": "x"}, "/metadata/modifiedAt"),
        ({"op": "remove", "path": "/metadata"}, "/metadata/createdAt"),
        ({"op": "replace", "path": "/metadata", "value": {"version": 3}}, "/metadata/createdAt"),
    ],
)
def test_what_is_protected_cannot_be_changed_by_any_operation(operation, path):
    assert refusal_of([operation]) == (path, f"{path} cannot be changed.")


def test_a_name_that_only_begins_like_a_protected_one_is_free():
    assert patch([{"op": "add", "path": "/identity", "value": 1}])["identity"] == 1


# JSON Merge Patch


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({}, {}),
        ({"status": "ACTIVE"}, {"status": "ACTIVE"}),
        ({"name": {"de": "Wichtig"}}, {"name": {"en": "Very important", "de": "Wichtig"}}),
        ({"name": {"en": None}}, {"name": {}}),
        ({"name": "text"}, {"name": "text"}),
        ({"tags": ["z"]}, {"tags": ["z"]}),
        ({"tags": {"x": 1, "y": None}}, {"tags": {"x": 1}}),
        ({"tags": [None, {"x": None}]}, {"tags": [None, {"x": None}]}),
        ({"new": {"deep": {"kept": 1, "dropped": None}}}, {"new": {"deep": {"kept": 1}}}),
        ({"absent": None}, {}),
        (
            {"mixins": {"attributes": {"price": 15}}},
            {"mixins": {"attributes": {"price": 15, "sizes": [{"cm": 1}, {"cm": 2}]}}},
        ),
    ],
)
def test_an_object_is_merged_and_null_removes(body, changed):
    assert patch(body) == DOCUMENT | changed


def test_null_removes_a_member():
    assert patch({"name": None}) == {key: value for key, value in DOCUMENT.items() if key != "name"}


def test_a_whole_document_may_be_sent_back():
    read = DOCUMENT | {"metadata": {"version": 3, "createdAt": CREATED_AT_AS_READ}}
    assert patch(read | {"tags": []}) == read | {"tags": []}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"id": "other"}, "/id"),
        ({"id": None}, "/id"),
        ({"metadata": None}, "/metadata/createdAt"),
        ({"metadata": {"createdAt": None}}, "/metadata/createdAt"),
        ({"metadata": {"createdAt": "2025-01-01T00:00:00.000Z"}}, "/metadata/createdAt"),
        ({"metadata": {"createdAt": "2024-01-01T00:00:00.123456+00:00"}}, "/metadata/createdAt"),
        ({"metadata": {"modifiedAt": "2025-01-01T00:00:00.000Z"}}, "/metadata/modifiedAt"),
    ],
)
def test_what_is_protected_cannot_be_changed_by_merging(body, path):
    assert refusal_of(body) == (path, f"{path} cannot be changed.")


# Bounds


def nested(depth):
    value = {}
    for _ in range(depth - 1):
        value = {"x": value}
    return value


def listed(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_a_patch_has_at_most_a_thousand_operations():
    operation = {"op": "add", "path": "/tags/-", "value": "x"}

    assert len(patch([operation] * 1_000)["tags"]) == 1_002
    assert refusal_of([operation] * 1_001) == ("", "A patch has at most 1000 operations.")


def test_what_is_merged_nests_at_most_twenty_levels():
    assert patch(nested(20), {}) == nested(20)
    assert refusal_of(nested(21), {}) == ("", "The patch or what it changes is nested too deeply.")


@pytest.mark.parametrize("build", [nested, listed])
def test_an_added_value_nests_at_most_twenty_levels(build):
    assert patch([{"op": "add", "path": "/x", "value": build(20)}], {}) == {"x": build(20)}
    assert refusal_of([{"op": "add", "path": "/x", "value": build(21)}], {}) == (
        "/x",
        "/x is nested too deeply.",
    )


def test_patches_alone_never_build_a_document_too_deep_to_patch():
    deep_path = "/x" * 20
    document = patch([{"op": "add", "path": deep_path, "value": nested(20)}], nested(20))

    assert patch([{"op": "replace", "path": deep_path, "value": 1}], document) != document


def test_a_document_from_elsewhere_that_is_too_deep_is_refused():
    assert refusal_of({}, nested(41)) == ("", "The patch or what it changes is nested too deeply.")


@pytest.mark.parametrize("body", [None, "add", 5, True])
def test_anything_but_a_list_or_an_object_is_refused(body):
    assert refusal_of(body) == ("", "A patch is a list of operations or an object to merge.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "/id", "-"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "metadata", "createdAt", "x"]), inner)
    ),
    max_leaves=8,
)
PATHS = st.lists(
    st.sampled_from(["id", "metadata", "createdAt", "tags", "x", "0", "1", "-", "~2", ""]), max_size=4
).map(lambda parts: "".join(f"/{part}" for part in parts))
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "copy"]), "path": PATHS}, optional={"value": JSON}
)


@given(JSON | st.lists(OPERATIONS | JSON, max_size=5))
def test_no_patch_raises_anything_but_invalid_input_or_changes_what_is_protected(body):
    try:
        patched = patch(body)
    except InvalidInput:
        return
    assert patched["id"] == DOCUMENT["id"]
    assert patched["metadata"]["createdAt"] == DOCUMENT["metadata"]["createdAt"]
    assert "modifiedAt" not in patched["metadata"]


@pytest.mark.parametrize("verb", ["add", "replace"])
@pytest.mark.parametrize(
    ("document", "patched"),
    [
        ({}, {"mixins": {"custom": {"price": 15}}}),
        ({"mixins": {}}, {"mixins": {"custom": {"price": 15}}}),
        ({"mixins": {"custom": {"a": 1}}}, {"mixins": {"custom": {"a": 1, "price": 15}}}),
        ({"mixins": {"custom": {"price": 1}}}, {"mixins": {"custom": {"price": 15}}}),
    ],
)
def test_attributes_of_mixins_are_set_whatever_is_missing_on_the_way(verb, document, patched):
    body = [{"op": verb, "path": "/mixins/custom/price", "value": 15}]
    assert apply_patch(document, body, protected=()) == patched


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"mixins": {"custom": "text"}}, "/mixins/custom/price"),
        ({"mixins": {"custom": []}}, "/mixins/custom/0"),
        ({}, "/validity/from"),
        ({"metadata": {}}, "/metadata/mixins/custom"),
    ],
)
def test_what_is_missing_elsewhere_cannot_be_replaced(document, path):
    with pytest.raises(FaultyPatch):
        apply_patch(document, [{"op": "replace", "path": path, "value": 1}], protected=())


def test_missing_attributes_of_mixins_cannot_be_removed():
    with pytest.raises(FaultyPatch):
        apply_patch({"mixins": {}}, [{"op": "remove", "path": "/mixins/custom"}], protected=())


# Over HTTP


@pytest.mark.parametrize(
    "address",
    [
        "/customer-segment/acme/segments/gold",
        "/category/acme/categories/floral",
        "/product/acme/products/rose",
        "/customer/acme/customers/{customer}",
        "/site/acme/sites/main",
    ],
)
def test_the_times_of_a_document_are_sent_back_as_they_were_read(api: Api, customer, site, address):
    SegmentFactory(site=site, external_id="gold")
    CategoryFactory(tenant=site.tenant, external_id="floral")
    ProductFactory(tenant=site.tenant, external_id="rose")
    address = address.format(customer=customer.external_id)
    read = api.get(address).json()["metadata"]
    assert api.patch(address, {"metadata": read}).status_code in (200, 204)
    changed = api.get(address).json()["metadata"]
    assert (changed["version"], changed["createdAt"]) == (read["version"] + 1, read["createdAt"])

    changed["createdAt"] = changed["createdAt"].replace("Z", "0Z")
    refused = api.patch(address, {"metadata": changed})
    assert refused.status_code == 400
    assert "/metadata/createdAt cannot be changed." in refused.text
