"""openapi-python-client makes a client of the OpenAPI document that works without changes."""

import importlib
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from drf_spectacular.generators import SchemaGenerator

from accounts.identity.scopes import SERVICE_SCOPES
from accounts.models import Site
from catalog.models import CategoryAssignment
from tests.conftest import Api, web_client
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import ItemAssignmentFactory, SegmentFactory

OPERATIONS = 186


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Generate the client, which must not print a warning; return the name of its package."""
    folder: Path = tmp_path_factory.mktemp("client")
    document, settings = folder / "openapi.json", folder / "settings.yml"
    document.write_text(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))
    settings.write_text(
        "package_name_override: generated_shop_client\npost_hooks: []\ncontent_type_overrides:\n"
        "  text/csv: application/octet-stream\n  application/x-ndjson: application/octet-stream\n"
    )
    command = [
        sys.executable,
        "-m",
        "openapi_python_client",
        "generate",
        "--meta",
        "none",
        "--fail-on-warning",
    ]
    done = subprocess.run(
        [
            *command,
            "--path",
            document,
            "--config",
            settings,
            "--output-path",
            folder / "generated_shop_client",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield "generated_shop_client"
    sys.path.remove(str(folder))


@pytest.fixture
def client(package: str, service_api: Callable[..., Api]) -> Any:
    """Return the generated client, connected to the application itself, with a token of all scopes."""
    token = service_api(*SERVICE_SCOPES).headers["Authorization"].removeprefix("Bearer ")
    return importlib.import_module(f"{package}.client").AuthenticatedClient(
        base_url="http://testserver", token=token, httpx_args={"transport": httpx.MockTransport(answer)}
    )


def answer(request: httpx.Request) -> httpx.Response:
    """Answer a request of the client in this process, within the transaction of the test."""
    content_type = request.headers.pop("Content-Type", "")
    answered = web_client().generic(
        request.method,
        request.url.raw_path.decode(),
        request.content,
        content_type=content_type,
        headers=dict(request.headers),
    )
    return httpx.Response(answered.status_code, content=answered.content, headers=dict(answered.items()))


def generated(package: str, name: str) -> Any:
    return importlib.import_module(f"{package}.{name}")


def test_every_module_of_the_client_compiles(package: str) -> None:
    found = [
        module.name
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    ]
    modules = [importlib.import_module(name) for name in found]
    assert sum(hasattr(module, "sync_detailed") for module in modules) == OPERATIONS


def test_the_client_validates_a_coupon(package: str, client: Any, site: Site) -> None:
    CouponFactory(
        tenant=site.tenant, code="TEN", discount_type="ABSOLUTE", discount_amount=10, discount_currency="EUR"
    )
    models = generated(package, "models")
    operation = generated(package, "api.coupon_validation.post_coupon_validate_coupon")
    body = models.ValidationBody.from_dict(
        {"orderTotal": {"amount": 50, "currency": "EUR"}, "discount": {"amount": 10, "currency": "EUR"}}
    )

    CustomerFactory(tenant=site.tenant, external_id="C1")
    refused = operation.sync(tenant="acme", code="TEN", client=client, body=body)
    body.customer_number = "C1"
    granted = operation.sync(tenant="acme", code="TEN", client=client, body=body)

    assert isinstance(refused, models.TypedError)
    assert refused.type_ == "coupon_not_redeemable"
    assert isinstance(granted, models.CouponVerdict)
    assert (granted.eligible_amount, granted.discount) == (50, 10)


def test_the_client_reads_a_tree_to_its_leaves(package: str, client: Any, site: Site) -> None:
    food = CategoryFactory(tenant=site.tenant, external_id="food", name={"en": "Food"})
    fruit = CategoryFactory(parent=food, external_id="fruit", name={"en": "Fruit"})
    apples = CategoryFactory(parent=fruit, external_id="apples", name={"en": "Apples"})
    segment = SegmentFactory(site=site, external_id="gold", status="ACTIVE")
    ItemAssignmentFactory(segment=segment, product=None, category=apples)
    operation = generated(package, "api.items_assignments.get_customer_segment_retrieve_category_trees")

    [root] = operation.sync(tenant="acme", client=client)

    assert (root.id, root.subcategories[0].id) == ("food", "fruit")
    leaf = root.subcategories[0].subcategories[0]
    assert (leaf.id, leaf.is_segment_assigned) == ("apples", True)


def test_the_client_writes_in_bulk(package: str, client: Any, site: Site) -> None:
    CategoryFactory(tenant=site.tenant, external_id="food")
    ProductFactory(tenant=site.tenant, external_id="P1")
    models = generated(package, "models")
    operation = generated(package, "api.category_assignments.post_category_tree_assign_category_resources")
    body = [
        models.CategoryAssignmentBody.from_dict({"ref": {"id": name, "type": "PRODUCT"}})
        for name in ("P1", "P2")
    ]

    created, refused = operation.sync(tenant="acme", category_id="food", client=client, body=body)

    assert (created.index, created.code, created.status) == (0, 201, "CREATED")
    assert (refused.index, refused.code, refused.message) == (
        1,
        400,
        "Please provide a valid assignment reference id",
    )
    assert CategoryAssignment.objects.get().product.external_id == "P1"


def test_the_client_deletes_in_bulk(package: str, client: Any, site: Site) -> None:
    SegmentFactory(site=site, external_id="gold")
    operation = generated(package, "api.segments.delete_customer_segment_remove_segments_bulk")

    [entry] = operation.sync(tenant="acme", client=client, body=["gold"])

    assert (entry.id, entry.code) == ("gold", 204)
