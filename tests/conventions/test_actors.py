"""The journal names the actor and the request of every operation that writes, and no write is without a line.

writes.txt has a request for each operation of scopes.txt that writes what the journal records, to a world
that has a row of every kind.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password

from accounts.identity.scopes import SERVICE_SCOPES
from accounts.models import Customer
from core.journal.declarations import recorded
from core.journal.models import Change
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.conventions.test_foreign_tenants import make_world
from tests.conventions.test_scopes import TABLE
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import ProductFactory
from tests.factories.coupons import CouponFactory, ReservationFactory

HASH = make_password("Correct-horse-9")
WRITES = [
    (method, path, json.loads(body.replace("HASH", HASH)) if body else None)
    for method, path, body in (
        (*line.split(maxsplit=2), "")[:3]
        for line in Path(__file__).with_name("writes.txt").read_text().splitlines()
    )
]
IDS = [f"{method} {path}" for method, path, _ in WRITES]
OF_CUSTOMERS = {"POST customer/<tenant>/password/change", "PATCH customer/<tenant>/me"}
# Operations that change no recorded row: they read, or only make and end sessions or reservations, or send
# e-mails; the last one repairs derived columns.
UNRECORDED = {
    "customer-segment/<tenant>/segments/match",
    "customer-segment/<tenant>/segments/<segment_id>/effects",
    "customer-segment/<tenant>/segment-effects",
    "customer-segment/<tenant>/category-effects",
    "customer-segment/<tenant>/rule-previews",
    "customer-segment/<tenant>/segments/<segment_id>/rule/evaluations",
    "coupon/<tenant>/coupons/<code>/validation",
    "coupon/<tenant>/coupons/<code>/reservations",
    "coupon/<tenant>/coupons/<code>/reservations/<reservation_id>",
    "coupon/<tenant>/cart-validations",
    "coupon/<tenant>/cart-reservations",
    "coupon/<tenant>/cart-reservations/<cart_id>",
    "oauth/token",
    "customer/<tenant>/login",
    "customer/<tenant>/exchangeauthtoken",
    "customer/<tenant>/socialLogin",
    "customer/<tenant>/password/reset",
    "category/<tenant>/category-trees/<root_category_id>/rebuild",
    "webhook/<tenant>/deliveries/<delivery_id>/retry",
    "webhook/<tenant>/targets/<target_id>/replays",
    "webhook/<tenant>/targets/<target_id>/test-events",
}
# These take the token of an e-mail, have a source of their own, or need a tenant without a configuration.
ELSEWHERE = {
    "customer/<tenant>/password/reset/update",
    "customer-segment/<tenant>/changes/<change_id>/undo",
    "customer-segment/<tenant>/imports/<import_id>/undo",  # tests/segments/api/test_imports.py
    "customer-segment/<tenant>/imports/<import_id>",  # tests/segments/api/test_imports.py
    "webhook/<tenant>/config",  # tests/events/test_configuration.py
}


@pytest.fixture
def world(tenant: Tenant) -> None:
    make_world(tenant, "own", "shown")
    ProductFactory(tenant=tenant, external_id="spare")
    CustomerFactory(tenant=tenant, external_id="spare")
    SiteFactory(tenant=tenant, code="spare")
    spare = CouponFactory(tenant=tenant, code="SPARE")
    ReservationFactory(coupon=spare, cart_id="cart-own", customer_number="own")
    Customer.objects.filter(external_id="own").update(password=make_password("Correct-horse-9"))


def address(path: str) -> str:
    """Fill a route's arguments: the tenant, and the ids of the rows of the world."""
    names = {"<tenant>": "acme", "<item_type>": "PRODUCT", "<code>": "OWN"}
    return "/" + re.sub("<[a-z_]+>", lambda found: names.get(found[0], "own"), path)


def recorded_rows() -> dict[str, list[JsonObject]]:
    """Return the stored rows of every model of which all is recorded, by table, without derived columns."""
    found = {}
    for one in recorded():
        if not one.is_complete:
            continue
        columns = [one.primary_key, *one.columns, *one.secret]
        fields = [field.name for field in one.model._meta.concrete_fields if field.column in columns]
        found[one.table] = list(one.model._base_manager.order_by("pk").values(*fields))
    return found


def differing(before: JsonObject, after: JsonObject) -> set[str]:
    return {table for table in before if before[table] != after[table]}


def tables_of(changes: list[Change]) -> set[str]:
    """Return the tables that rows of the journal are about."""
    names = {one.object: one.table for one in recorded()}
    for one in recorded():
        names |= dict.fromkeys(getattr(one, "members", {}), one.table)
    return {names[change.object] for change in changes}


def route_of(path: str) -> str:
    """Return a path as scopes.txt has it, whichever row is named in it."""
    path = path.partition("?")[0].replace("/references/spare", "/references/<reference_id>")
    path = path.replace("cart-reservations/cart-own", "cart-reservations/<cart_id>")
    path = path.replace("sites/spare", "sites/<site_code>").replace("segments/spare", "segments/<segment_id>")
    path = path.replace("config/http", "config/<config_code>")
    return path.replace("coupons/SPARE", "coupons/<code>")


def test_every_operation_that_writes_is_tried():
    writing = {
        (method, path)
        for method, path, _ in TABLE
        if method != "GET" and not path.endswith("search") and path not in UNRECORDED | ELSEWHERE
    }
    assert {(method, route_of(path)) for method, path, _ in WRITES} == writing


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=IDS)
def test_a_write_is_recorded_as_its_callers(
    world: None,
    service_api: Callable[..., Api],
    customer_api: Callable[..., Api],
    anonymous_api: Api,
    method: str,
    path: str,
    body: object,
) -> None:
    if f"{method} {path}" in OF_CUSTOMERS:
        api, actor = customer_api(Customer.objects.get(external_id="own")), ("customer", "own")
    elif path.endswith("/signup"):
        api, actor = anonymous_api, ("anonymous", None)
    else:
        api, actor = service_api(*SERVICE_SCOPES), ("client", "test-client-acme")
    last = Change.objects.order_by("-id").values_list("id", flat=True).first()
    before = recorded_rows()
    answer = api.send(method, address(path), body, headers={"X-Request-Id": "r-7"})
    assert answer.status_code < 300, answer.content
    changed = differing(before, recorded_rows())
    changes = list(Change.objects.filter(id__gt=last))
    assert changed, answer.content
    assert changed - tables_of(changes) == set()
    for row in changes:
        assert (row.actor_type, row.actor_id if actor[1] else None) == actor
        assert (row.source_type, row.source_id, row.tenant.name) == ("request", "r-7", "acme")


def test_a_request_without_an_id_gets_one(tenant: Tenant, service_api: Callable[..., Api]) -> None:
    api = service_api(*SERVICE_SCOPES)
    for number in (1, 2):
        assert (
            api.put(f"/product/acme/products/p{number}", {"name": "P", "code": f"p{number}"}).status_code
            == 201
        )
    ids = set(Change.objects.filter(object="product").values_list("source_id", flat=True))
    assert len(ids) == 2
    assert all(len(text) == 16 for text in ids)


def test_a_hostile_request_id_is_not_taken(tenant: Tenant, service_api: Callable[..., Api]) -> None:
    api = service_api(*SERVICE_SCOPES)
    api.put(
        "/product/acme/products/p1", {"name": "P", "code": "p"}, headers={"X-Request-Id": "'; DROP TABLE x"}
    )
    assert len(Change.objects.get(object="product").source_id) == 16
