"""What the OpenAPI document derives from viewsets, actions, addresses and docstrings."""

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import ComponentRegistry

from core.api.routes import describe_argument
from core.api.schema import MEANINGS, AutoSchema, DoubledSchema
from core.json_types import JsonObject


@pytest.fixture(scope="module")
def document() -> JsonObject:
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture(scope="module")
def operations(document: JsonObject) -> dict[str, JsonObject]:
    paths = document["paths"]
    return {
        operation["operationId"]: {**operation, "path": path, "method": method}
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def parameters(operation: JsonObject, place: str) -> set[str]:
    return {entry["name"] for entry in operation.get("parameters", []) if entry["in"] == place}


def test_every_operation_has_a_tag_a_summary_and_described_parameters(operations):
    for operation_id, operation in operations.items():
        assert len(operation["tags"]) == 1, operation_id
        assert operation["summary"], operation_id
        assert not operation["summary"].endswith("."), operation_id
        assert all(entry.get("description") for entry in operation.get("parameters", [])), operation_id


def test_arguments_of_paths_have_the_names_of_the_contract(operations):
    assert [operation["path"] for operation in operations.values() if "_" in operation["path"]] == []
    redemption = operations["GET-coupon-retrieve-coupon-redemption"]
    assert redemption["path"] == "/coupon/{tenant}/coupons/{code}/redemptions/{id}"
    assert parameters(redemption, "path") == {"tenant", "code", "id"}


def test_lists_searches_and_reads_take_what_their_kind_takes(operations):
    listed = operations["GET-customer-segment-retrieve-segment-items"]
    page = {"sort", "fields", "pageNumber", "pageSize", "next", "prev"}
    assert parameters(listed, "query") == page | {"q", "legalEntityId"}
    assert parameters(listed, "header") == {"Accept-Language", "X-Total-Count", "If-None-Match"}
    assert parameters(operations["POST-customer-segment-search-customers"], "query") == page
    assert parameters(operations["GET-category-tree-retrieve-category"], "query") == {
        "fields",
        "showUnpublished",
    }
    assert parameters(operations["GET-coupon-list-specified-coupons"], "header") == set()
    assert "totalCount" in parameters(operations["GET-coupon-list-specified-coupons"], "query")


def test_writes_of_texts_take_the_language_of_the_texts(operations):
    segment = operations["PUT-customer-segment-update-segment"]
    assert parameters(segment, "header") == {"Content-Language", "If-Match", "If-None-Match"}
    written = parameters(operations["PUT-customer-segment-update-item"], "header")
    assert written == {"If-Match", "If-None-Match"}
    # what it does not create, it takes as it is
    assert parameters(operations["PUT-coupon-update-coupon"], "header") == {"If-Match"}


@pytest.mark.parametrize(
    ("operation_id", "statuses"),
    [
        ("GET-customer-segment-retrieve-segments", "200 304 400 401 403"),
        ("GET-customer-segment-retrieve-segment", "200 304 400 401 403 404"),
        ("PUT-customer-segment-update-segment", "201 204 400 401 403 409 412"),
        ("PUT-customer-segment-update-item", "201 204 400 401 403 404 409 412"),
        ("DELETE-customer-segment-remove-segment", "204 400 401 403 412"),
        ("DELETE-coupon-remove-coupon", "204 400 401 403 404 412"),
        ("POST-coupon-invalidate-coupon", "201 400 401 403 404 409 429"),
        ("POST-product-create-bulk-products", "207 400 401 403"),
        ("POST-oauth-request-client-credentials", "200 400 401 429"),
    ],
)
def test_statuses_follow_from_method_address_and_service(operations, operation_id, statuses):
    responses = operations[operation_id]["responses"]
    assert sorted(responses) == [*statuses.split(), "503"]
    for status, response in responses.items():
        if int(status) in MEANINGS:
            body = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert (body == "Fault") == (status == "401" and "oauth" not in operation_id)


def test_list_of_a_representation_is_an_array_of_its_schema(operations):
    [schema] = [
        content["schema"]
        for content in operations["GET-coupon-list-specified-coupons"]["responses"]["200"]["content"].values()
    ]
    assert schema == {"type": "array", "items": {"$ref": "#/components/schemas/Coupon"}}


def test_the_docstring_is_summary_and_description(operations):
    patch = operations["PATCH-customer-segment-update-segment"]
    assert patch["summary"] == "Change parts of a segment"
    assert patch["description"].startswith("A list is a JSON Patch")


def test_an_argument_means_the_same_in_all_addresses():
    describe_argument("item_type", "PRODUCT or CATEGORY, in any case.", wire_name="type")
    with pytest.raises(ValueError, match="item_type is described already"):
        describe_argument("item_type", "Something else.", wire_name="type")


def test_any_one_of_the_scopes_suffices(operations):
    security = operations["GET-customer-segment-retrieve-segments"]["security"]
    assert security == [
        {"OAuth2": ["customersegment.segment_read"]},
        {"OAuth2": ["customersegment.segment_read_own"]},
        {"AccessToken": []},
    ]
    assert operations["GET-category-tree-list-categories"]["security"] == [
        {"OAuth2": []},
        {"AccessToken": []},
    ]
    assert operations["POST-oauth-request-client-credentials"]["security"] == [{}]


def test_the_document_says_where_the_service_is_and_which_tags_there_are(document):
    assert [server["url"] for server in document["servers"]] == ["/"]
    names = {tag["name"] for tag in document["tags"]}
    assert {"Segments", "Coupon Management", "Categories"} <= names
    assert document["components"]["securitySchemes"]["AccessToken"]["scheme"] == "bearer"


def test_no_name_of_a_schema_is_doubled(document):
    assert [name for name in document["components"]["schemas"] if "RequestRequest" in name] == []


def headers_of(operation: JsonObject, status: str) -> set[str]:
    return set(operation["responses"][status].get("headers", {}))


def test_response_headers_are_documented(operations):
    listed = operations["GET-customer-segment-retrieve-segments"]
    assert headers_of(listed, "200") == {"X-Total-Count", "X-Next-Cursor", "X-Prev-Cursor", "ETag"}
    assert "Items-Count" in headers_of(operations["GET-coupon-list-specified-coupons"], "200")
    document = operations["GET-coupon-retrieve-coupon"]
    assert headers_of(document, "200") == headers_of(document, "304") == {"ETag"}
    assert headers_of(operations["POST-coupon-invalidate-coupon"], "429") == {"Retry-After"}
    assert headers_of(operations["POST-coupon-create-coupon"], "201") == {"Location"}
    assert all(headers_of(operation, "503") == {"Retry-After"} for operation in operations.values())


def described(operation: JsonObject, name: str) -> JsonObject:
    [found] = [entry for entry in operation["parameters"] if entry["name"] == name]
    return found


def test_page_sizes_and_searched_fields_are_those_of_the_list(operations):
    segments = operations["GET-customer-segment-retrieve-segments"]
    coupons = operations["GET-coupon-list-specified-coupons"]
    assert described(segments, "pageSize")["schema"]["default"] == 60
    assert described(coupons, "pageSize")["schema"]["default"] == 16
    assert "compoundLogicalQuery" in described(segments, "q")["description"]
    assert "`validity.from`" in described(segments, "q")["description"]
    assert "`discountPercentage`" in described(coupons, "q")["description"]


def test_two_bodies_never_share_a_name():
    schema = AutoSchema()
    schema.registry = ComponentRegistry()
    schema.reference("Note", {"type": "object"})
    schema.reference("Note", {"type": "object"})
    with pytest.raises(DoubledSchema, match="Note"):
        schema.reference("Note", {"type": "string"})


def test_bodies_of_bulk_deletions_are_described(operations):
    deleted = operations["DELETE-customer-segment-remove-customers-bulk"]["requestBody"]
    [content] = deleted["content"].values()
    assert content["schema"]["items"] == {"$ref": "#/components/schemas/MemberBody"}
    assert deleted["required"] is True


def test_a_body_is_a_form_or_json_and_never_either(operations):
    # Generators of clients write one call for all media types of an operation, which then fits none of them.
    for operation_id, operation in operations.items():
        sent = set(operation.get("requestBody", {}).get("content", {}))
        forms = {media_type for media_type in sent if "json" not in media_type}
        assert len(forms) + bool(sent - forms) <= 1, operation_id


def test_bodies_are_required_where_a_request_without_one_is_refused(operations):
    needed = {
        operation: described["requestBody"].get("required", False)
        for operation, described in operations.items()
        if "requestBody" in described
    }
    assert needed["POST-coupon-validate-coupon"]
    assert needed["PATCH-customer-segment-update-segment"]
    assert needed["PUT-customer-segment-update-items-bulk"]
    assert not needed["PUT-customer-segment-update-item"]  # an assignment may say nothing
    assert not needed["POST-customer-segment-search-segments"]


def undescribed(schema: JsonObject, path: str) -> list[str]:
    """Return the paths of the properties that have no description."""
    found = []
    for name, member in schema.get("properties", {}).items():
        found += [f"{path}.{name}"] if not member.get("description") else []
        found += undescribed(member, f"{path}.{name}")
    return found + (undescribed(schema["items"], f"{path}[]") if "items" in schema else [])


def test_every_property_is_described(document):
    components = document["components"]["schemas"].items()
    assert [missing for name, component in components for missing in undescribed(component, name)] == []
