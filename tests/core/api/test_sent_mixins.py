"""`mixins` and `metadata.mixins` of every kind are read as they were sent: an empty object, too."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from accounts.identity import scopes
from accounts.models import Site
from core.json_types import JsonObject
from tests.conftest import Api
from tests.core.imports.conftest import run_command
from tests.factories.accounts import CustomerFactory, LegalEntityFactory
from tests.factories.catalog import ProductFactory
from tests.factories.segments import SegmentFactory

NAME = {"en": "Name"}
KINDS: dict[str, tuple[str, JsonObject]] = {
    "customers": ("/customer/acme/customers", {"contactEmail": "ann@example.com"}),
    "legal_entities": ("/customer-management/acme/legal-entities", {"name": "Inc.", "type": "COMPANY"}),
    "contact_assignments": (
        "/customer-management/acme/contact-assignments",
        {"customer": {"id": "C1"}, "legalEntity": {"id": "L1"}, "type": "CONTACT"},
    ),
    "products": ("/product/acme/products", {"code": "A", "name": NAME}),
    "categories": ("/category/acme/categories", {"localizedName": NAME, "published": True}),
    "coupons": (
        "/coupon/acme/coupons",
        {"name": "Ten", "discountType": "PERCENT", "discountPercentage": 10},
    ),
    "segments": ("/customer-segment/acme/segments", {"name": NAME, "siteCode": "main"}),
    "segment_customers": ("/customer-segment/acme/segments/S1/customers", {}),
    "segment_items": ("/customer-segment/acme/segments/S1/items/PRODUCT", {}),
}
SENT = [
    {},
    {"mixins": None, "metadata": {"mixins": None}},
    {"mixins": {}, "metadata": {"mixins": {}}},
    {"mixins": {"look": {}}, "metadata": {"mixins": {}}},
    {"mixins": {}, "metadata": {"mixins": {"look": "https://example.com/look.json"}}},
]


@pytest.fixture
def manager(service_api: Callable[..., Api], site: Site) -> Api:
    CustomerFactory(tenant=site.tenant, external_id="C1")
    LegalEntityFactory(tenant=site.tenant, external_id="L1")
    ProductFactory(tenant=site.tenant, external_id="P1")
    SegmentFactory(site=site, external_id="S1")
    return service_api(
        *(value for name, value in vars(scopes).items() if name.endswith(("_MANAGE", "_PUBLISH")))
    )


def present(sent: JsonObject) -> JsonObject:
    """Return the parts that a client reads back."""
    parts = {"mixins": sent.get("mixins"), "schemas": sent.get("metadata", {}).get("mixins")}
    return {name: value for name, value in parts.items() if value is not None}


def read(api: Api, address: str) -> JsonObject:
    answer = api.get(address)
    assert answer.status_code == 200, answer.content
    return present(answer.json())


@pytest.mark.parametrize("sent", SENT, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_mixins_are_read_as_they_were_sent(manager: Api, kind: str, sent: JsonObject) -> None:
    path, body = KINDS[kind]
    by_path = {"coupons": None, "segment_customers": "C1", "segment_items": "P1"}
    if kind in ("segment_customers", "segment_items"):
        address = f"{path}/{by_path[kind]}"
        assert manager.put(address, {**body, **sent}).status_code == 201
    else:
        created = manager.post(path, {**body, **sent})
        assert created.status_code == 201, created.content
        address = f"{path}/{created.json()['id']}"
    assert read(manager, address) == present(sent)
    for next_sent in (*SENT, sent):
        answer = manager.put(address, {**body, **next_sent})
        assert answer.status_code in (200, 204), answer.content
        assert read(manager, address) == present(next_sent)


@pytest.mark.parametrize("kind", ["customers", "products", "categories", "coupons", "segments"])
def test_patches_change_mixins_and_leave_absent_ones_absent(manager: Api, kind: str) -> None:
    path, body = KINDS[kind]
    address = f"{path}/{manager.post(path, body).json()['id']}"
    schema = "https://example.com/look.json"
    name = {"categories": "localizedName", "customers": "firstName"}.get(kind, "name")
    renamed = {name: "Other" if kind in ("customers", "coupons") else {"en": "Other"}}
    for patch, expected in (
        (renamed, {}),
        ({"mixins": {}}, {"mixins": {}}),
        ({"metadata": {"mixins": {}}}, {"mixins": {}, "schemas": {}}),
        ({"mixins": {"look": {"a": 1}}}, {"mixins": {"look": {"a": 1}}, "schemas": {}}),
        ({"mixins": None, "metadata": {"mixins": None}}, {}),
        (
            [
                {"op": "add", "path": "/mixins/look", "value": {}},
                {"op": "add", "path": "/metadata/mixins/look", "value": schema},
            ],
            {"mixins": {"look": {}}, "schemas": {"look": schema}},
        ),
        (
            [
                {"op": "remove", "path": "/mixins/look"},
                {"op": "remove", "path": "/metadata/mixins/look"},
            ],
            {"mixins": {}, "schemas": {}},
        ),
        ([{"op": "remove", "path": "/mixins"}, {"op": "remove", "path": "/metadata/mixins"}], {}),
    ):
        answer = manager.patch(address, patch)
        if answer.status_code == 400 and isinstance(patch, list) and kind in ("customers", "coupons"):
            continue  # takes merge patches only
        assert answer.status_code in (200, 204), (patch, answer.content)
        assert read(manager, address) == expected, patch


@pytest.mark.parametrize("sent", SENT[1:], ids=repr)
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"contact_assignments"}))
def test_files_say_mixins_as_bodies_do(manager: Api, tmp_path: Path, kind: str, sent: JsonObject) -> None:
    path, body = KINDS[kind]
    named, address = {
        "coupons": ({"code": "NEW"}, f"{path}/NEW"),
        "segment_customers": ({"segmentId": "S1", "customerId": "C1"}, f"{path}/C1"),
        "segment_items": ({"segmentId": "S1", "type": "PRODUCT", "id": "P1"}, f"{path}/P1"),
    }.get(kind, ({"id": "new"}, f"{path}/new"))
    for first in (sent, SENT[2]):
        rows = tmp_path / "rows.jsonl"
        rows.write_bytes(orjson.dumps({**named, **body, **first}) + b"\n")
        answer = run_command(f"upsert_{kind}", rows, "--tenant", "acme", "--json")
        assert answer.status == 0, answer.text
        assert read(manager, address) == present(first)
