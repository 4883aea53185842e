"""The operations of the published customer segment contract: the generated schema must hold each of them."""

import pytest
from drf_spectacular.generators import SchemaGenerator

from core.json_types import JsonObject
from segments.api.urls import urlpatterns

MANAGE = {"customersegment.segment_manage"}
READ = {"customersegment.segment_read"}
OWN = {"customersegment.segment_read_own"}
PAGE = {"pageSize", "pageNumber", "sort", "fields", "X-Total-Count"}
ACCEPT = {"Accept-Language"}
WRITTEN = {"Content-Language"}
FOR_ENTITY = {"legalEntityId"}
FORCE = {"forceDelete"}
FAULTS = {"401", "403"}
REFUSALS = {"400", "401", "403"}
CONFLICTS = {"400", "401", "403", "409"}
MISSING = {"401", "403", "404"}

# Method, path below /customer-segment/{tenant}/segments, operation id, scopes of which one suffices,
# parameters beside those of the path, statuses.
OPERATIONS: list[tuple[str, str, str, set[str], set[str], set[str]]] = [
    ("post", "", "POST-customer-segment-create-segment", MANAGE, WRITTEN, {"201"} | CONFLICTS),
    (
        "get",
        "",
        "GET-customer-segment-retrieve-segments",
        READ | OWN,
        PAGE | ACCEPT | FOR_ENTITY | {"q", "customerId"},
        {"200"} | FAULTS,
    ),
    (
        "post",
        "/search",
        "POST-customer-segment-search-segments",
        READ | OWN,
        PAGE | ACCEPT | FOR_ENTITY | {"customerId"},
        {"200"} | REFUSALS,
    ),
    (
        "get",
        "/{segmentId}",
        "GET-customer-segment-retrieve-segment",
        READ | OWN,
        {"fields"} | ACCEPT | FOR_ENTITY,
        {"200"} | MISSING,
    ),
    (
        "put",
        "/{segmentId}",
        "PUT-customer-segment-update-segment",
        MANAGE,
        WRITTEN,
        {"201", "204"} | CONFLICTS,
    ),
    (
        "patch",
        "/{segmentId}",
        "PATCH-customer-segment-update-segment",
        MANAGE,
        WRITTEN,
        {"204", "400"} | MISSING,
    ),
    ("delete", "/{segmentId}", "DELETE-customer-segment-remove-segment", MANAGE, FORCE, {"204"} | FAULTS),
    ("post", "/bulk", "POST-customer-segment-create-segments-bulk", MANAGE, WRITTEN, {"207"} | REFUSALS),
    ("put", "/bulk", "PUT-customer-segment-update-segments-bulk", MANAGE, WRITTEN, {"207"} | REFUSALS),
    ("delete", "/bulk", "DELETE-customer-segment-remove-segments-bulk", MANAGE, FORCE, {"207"} | REFUSALS),
    ("post", "/match", "POST-customer-segment-check-match", MANAGE, set(), {"200"} | REFUSALS),
    (
        "get",
        "/{segmentId}/customers",
        "GET-customer-segment-retrieve-customers",
        READ | OWN,
        PAGE | {"q"},
        {"200"} | FAULTS,
    ),
    (
        "post",
        "/{segmentId}/customers/search",
        "POST-customer-segment-search-customers",
        READ,
        PAGE,
        {"200"} | REFUSALS,
    ),
    (
        "get",
        "/{segmentId}/customers/{customerId}",
        "GET-customer-segment-retrieve-customer-by-customerId",
        READ,
        {"fields"},
        {"200"} | MISSING,
    ),
    (
        "put",
        "/{segmentId}/customers/{customerId}",
        "PUT-customer-segment-update-customer-by-customerId",
        MANAGE,
        set(),
        {"201", "204"} | CONFLICTS,
    ),
    (
        "delete",
        "/{segmentId}/customers/{customerId}",
        "DELETE-customer-segment-remove-customer-by-customerId",
        MANAGE,
        set(),
        {"204"} | FAULTS,
    ),
    (
        "get",
        "/{segmentId}/customers/{customerId}/{legalEntityId}",
        "GET-customer-segment-retrieve-customer",
        READ,
        {"fields"},
        {"200"} | MISSING,
    ),
    (
        "put",
        "/{segmentId}/customers/{customerId}/{legalEntityId}",
        "PUT-customer-segment-update-customer",
        MANAGE,
        set(),
        {"201", "204"} | CONFLICTS,
    ),
    (
        "delete",
        "/{segmentId}/customers/{customerId}/{legalEntityId}",
        "DELETE-customer-segment-remove-customer",
        MANAGE,
        set(),
        {"204"} | FAULTS,
    ),
    (
        "put",
        "/{segmentId}/customers/bulk",
        "PUT-customer-segment-update-customers-bulk",
        MANAGE,
        set(),
        {"207"} | REFUSALS,
    ),
    (
        "delete",
        "/{segmentId}/customers/bulk",
        "DELETE-customer-segment-remove-customers-bulk",
        MANAGE,
        set(),
        {"207"} | REFUSALS,
    ),
    (
        "get",
        "/items/category-trees",
        "GET-customer-segment-retrieve-category-trees",
        OWN,
        ACCEPT | FOR_ENTITY | {"siteCode"},
        {"200"} | FAULTS,
    ),
    (
        "get",
        "/items",
        "GET-customer-segment-retrieve-segments-items",
        READ | OWN,
        PAGE | ACCEPT | FOR_ENTITY | {"q", "siteCode", "onlyActive"},
        {"200"} | FAULTS,
    ),
    (
        "get",
        "/{segmentId}/items",
        "GET-customer-segment-retrieve-segment-items",
        READ | OWN,
        PAGE | ACCEPT | FOR_ENTITY | {"q"},
        {"200"} | FAULTS,
    ),
    (
        "post",
        "/{segmentId}/items/search",
        "POST-customer-segment-search-items",
        READ | OWN,
        PAGE | ACCEPT | FOR_ENTITY,
        {"200"} | REFUSALS,
    ),
    (
        "get",
        "/{segmentId}/items/{type}/{itemId}",
        "GET-customer-segment-retrieve-item",
        READ | OWN,
        {"fields"} | ACCEPT | FOR_ENTITY,
        {"200"} | MISSING,
    ),
    (
        "put",
        "/{segmentId}/items/{type}/{itemId}",
        "PUT-customer-segment-update-item",
        MANAGE,
        set(),
        {"201", "204"} | CONFLICTS,
    ),
    (
        "delete",
        "/{segmentId}/items/{type}/{itemId}",
        "DELETE-customer-segment-remove-item",
        MANAGE,
        set(),
        {"204"} | FAULTS,
    ),
    (
        "put",
        "/{segmentId}/items/{type}/bulk",
        "PUT-customer-segment-update-items-bulk",
        MANAGE,
        set(),
        {"207"} | REFUSALS,
    ),
    (
        "delete",
        "/{segmentId}/items/{type}/bulk",
        "DELETE-customer-segment-remove-items-bulk",
        MANAGE,
        set(),
        {"207"} | REFUSALS,
    ),
]
MORE_SCOPES = {"GET-customer-segment-retrieve-category-trees": READ}  # staff reads the trees as well


@pytest.fixture(scope="module")
def schema() -> JsonObject:
    return SchemaGenerator(patterns=urlpatterns).get_schema(request=None, public=True)


@pytest.mark.parametrize(("method", "path", "operation_id", "scopes", "parameters", "statuses"), OPERATIONS)
def test_an_operation_is_in_the_schema_as_published(
    schema: JsonObject,
    method: str,
    path: str,
    operation_id: str,
    scopes: set[str],
    parameters: set[str],
    statuses: set[str],
) -> None:
    full_path = f"/customer-segment/{{tenant}}/segments{path}"
    found = schema["paths"][full_path][method]
    in_path = {part.strip("{}") for part in full_path.split("/") if part.startswith("{")}
    named = {parameter["name"]: parameter["in"] for parameter in found["parameters"]}

    assert found["operationId"] == operation_id
    by_scope = [entry["OAuth2"] for entry in found["security"] if "OAuth2" in entry]
    assert {scope for alternative in by_scope for scope in alternative} == scopes | MORE_SCOPES.get(
        operation_id, set()
    )
    assert {name for name, place in named.items() if place == "path"} == in_path
    assert parameters | in_path <= set(named)
    assert statuses <= set(found["responses"])


EXTENSIONS = {
    "DELETE-customer-segment-cancel-import",
    "DELETE-customer-segment-lift-rule-exclusion",
    "DELETE-customer-segment-remove-rule",
    "GET-customer-segment-explain-rule",
    "GET-customer-segment-retrieve-rule",
    "GET-customer-segment-retrieve-rule-evaluation",
    "GET-customer-segment-retrieve-rule-exclusions",
    "POST-customer-segment-evaluate-rule",
    "POST-customer-segment-preview-rule",
    "PUT-customer-segment-upsert-rule",
    "GET-customer-segment-explain",
    "GET-customer-segment-export-calendar",
    "GET-customer-segment-retrieve-calendar",
    "GET-customer-segment-retrieve-changes",
    "GET-customer-segment-retrieve-findings",
    "GET-customer-segment-retrieve-history",
    "GET-customer-segment-retrieve-import",
    "GET-customer-segment-retrieve-import-rejects",
    "GET-customer-segment-retrieve-member-operation",
    "GET-customer-segment-retrieve-segment-set",
    "GET-customer-segment-retrieve-segment-set-category-trees",
    "GET-customer-segment-retrieve-segment-set-items",
    "GET-customer-segment-retrieve-segment-set-products",
    "GET-customer-segment-retrieve-undo-job",
    "POST-customer-segment-combine-members",
    "POST-customer-segment-import",
    "POST-customer-segment-preview-category-change",
    "POST-customer-segment-preview-segment-change",
    "POST-customer-segment-preview-segments-change",
    "POST-customer-segment-undo-change",
    "POST-customer-segment-undo-import",
}


def test_the_schema_holds_no_other_operation(schema: JsonObject) -> None:
    found = {operation["operationId"] for path in schema["paths"].values() for operation in path.values()}

    assert found == {operation_id for _, _, operation_id, *_ in OPERATIONS} | EXTENSIONS


def undescribed(schema: JsonObject, path: str) -> list[str]:
    """Return the paths of the properties that have no description."""
    found = []
    for name, member in schema.get("properties", {}).items():
        inner = f"{path}.{name}"
        if not member.get("description"):
            found.append(inner)
        found += undescribed(member, inner)
    return found + (undescribed(schema["items"], f"{path}[]") if "items" in schema else [])


def test_every_property_and_parameter_is_described(schema: JsonObject) -> None:
    components = schema["components"]["schemas"].items()
    parameters = [
        parameter
        for path in schema["paths"].values()
        for operation in path.values()
        for parameter in operation["parameters"]
    ]

    assert [missing for name, component in components for missing in undescribed(component, name)] == []
    assert [parameter["name"] for parameter in parameters if not parameter.get("description")] == []


def test_category_trees_are_described_to_any_depth(schema: JsonObject) -> None:
    node = schema["components"]["schemas"]["CategoryTreeNode"]

    assert node["properties"]["subcategories"]["items"] == {"$ref": "#/components/schemas/CategoryTreeNode"}
