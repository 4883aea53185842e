"""No request of one tenant ever shows or changes what belongs to another, wherever it names it.

Generated over all routes of the schema. Two tenants hold a row of every kind: `globex` under the id
`foreign`, `acme` under the id `own`, and every text of globex holds the word SECRET.
"""

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from django.apps import apps
from django.forms.models import model_to_dict
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from accounts.identity.models import PasswordMigration
from accounts.identity.scopes import SERVICE_SCOPES
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from events.feed.reader import start_feed
from events.models import Event, Subscription
from tests.conftest import Api
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import (
    CouponCampaignFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
    ReservationFactory,
)
from tests.factories.events import DeliveryFactory, TargetFactory, WebhookConfigFactory
from tests.factories.segments import (
    CustomerAssignmentFactory,
    ItemAssignmentFactory,
    RuleExclusionFactory,
    RuleFactory,
    SegmentFactory,
)

METHODS = ("get", "post", "put", "patch", "delete")
# What these tell is the caller's own session, whatever the path names.
SESSIONS = {"logout", "refreshauthtoken", "validateauthtoken", "me", "login", "signup"}


def make_world(tenant: Tenant, name: str, text: str) -> None:
    """Give the tenant a row of every kind: `name` is its id, `text` is in all its texts."""
    words = {"en": text}
    site = SiteFactory(
        tenant=tenant,
        code=name,
        name=text,
        is_default=True,
        home_base={"address": {"country": "DE", "zipCode": "10115"}},
    )
    customer = CustomerFactory(
        tenant=tenant,
        external_id=name,
        first_name=text,
        last_name=text,
        email=f"{text}@example.com",
        preferred_site=name,
    )
    PasswordMigration.objects.create(
        tenant=tenant, retention_end_date=date(2031, 1, 31), email_reminder_date=date(2031, 1, 24)
    )
    entity = LegalEntityFactory(tenant=tenant, external_id=name, name=text)
    ContactAssignmentFactory(legal_entity=entity, customer=customer, external_id=name)
    above = CategoryFactory(tenant=tenant, external_id=f"{name}-above", name=words)
    category = CategoryFactory(parent=above, external_id=name, name=words, code=text)
    CategoryFactory(parent=category, external_id=f"{name}-below", name=words)
    product = ProductFactory(tenant=tenant, external_id=name, name=words, code=text)
    CategoryAssignmentFactory(product=product, category=category, external_id=name)
    segment = SegmentFactory(site=site, external_id=name, name=words)
    for legal_entity in (None, entity):
        CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=legal_entity)
    RuleFactory(segment=segment)
    RuleExclusionFactory(segment=segment, customer=customer)
    ItemAssignmentFactory(segment=segment, product=product)
    ItemAssignmentFactory(segment=segment, product=None, category=category)
    coupon = CouponFactory(
        tenant=tenant, code=name.upper(), name=text, is_segment_restricted=True, redemption_count=1
    )
    CouponSegmentFactory(coupon=coupon, segment=segment)
    RedemptionFactory(coupon=coupon, external_id=name, customer_number=name)
    ReservationFactory(coupon=coupon, external_id=name, customer_number=name)
    CouponCampaignFactory(tenant=tenant, external_id=name, terms__name=text)
    Subscription.objects.create(tenant=tenant, event_type="customer-segment.segment-created")
    start_feed(tenant.pk, at=timezone.now())
    event = Event.objects.create(
        tenant=tenant,
        type="customer-segment.segment-created",
        order_key=name,
        payload={"id": name, "name": words},
        occurred_at=timezone.now(),
    )
    WebhookConfigFactory(tenant=tenant)
    target = TargetFactory(tenant=tenant, external_id=name, name=text)
    DeliveryFactory(event=event, target=target, last_answer=text)


@pytest.fixture
def worlds(tenant: Tenant, other_tenant: Tenant) -> None:
    make_world(other_tenant, "foreign", "SECRET")
    make_world(tenant, "own", "shown")


@pytest.fixture(scope="module")
def schema() -> JsonObject:
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    """Yield method, path and operation of every route that names a tenant."""
    for path, methods in schema["paths"].items():
        if "{tenant}" in path and path.rpartition("/")[2] not in SESSIONS:
            for method in METHODS:
                if method in methods:
                    yield method, path, methods[method]


def filled(path: str, tenant: str, name: str) -> str:
    """Return the address of things called `name`."""
    parts = [
        {"{tenant}": tenant, "{type}": "PRODUCT"}.get(part, name) if part.startswith("{") else part
        for part in path.split("/")
    ]
    return "/".join(parts)


def body_of(operation: JsonObject, schema: JsonObject, name: str) -> object:
    """Return a body that names things called `name` in every text; None when the operation takes no JSON."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return example(content["schema"], schema, name) if content else None


def example(part: JsonObject, schema: JsonObject, name: str, depth: int = 0) -> object:
    if "$ref" in part:
        return example(schema["components"]["schemas"][part["$ref"].rpartition("/")[2]], schema, name, depth)
    for choice in ("allOf", "oneOf", "anyOf"):
        if choice in part:
            return example(part[choice][0], schema, name, depth)
    if "enum" in part:
        return part["enum"][0]
    match part.get("type"):
        case "array":
            return [] if depth > 6 else [example(part["items"], schema, name, depth + 1)]
        case "object" if "properties" in part:
            return {
                key: example(value, schema, name, depth + 1)
                for key, value in part["properties"].items()
                if not value.get("readOnly") and key not in ("metadata", "version")
            }
        case "object":
            return {"en": name}
        case "integer" | "number":
            return 1
        case "boolean":
            return True
    if part.get("format") == "date-time":
        return "2030-01-01T00:00:00.000Z"
    return name


def rows_of(tenant: Tenant) -> list[JsonObject]:
    """Return all that the tenant's rows hold, tokens and clients aside, which the test itself makes."""
    return [
        model_to_dict(row) | {"pk": row.pk, "model": model._meta.label, "version": getattr(row, "version", 0)}
        for model in apps.get_models()
        if any(field.name == "tenant" for field in model._meta.fields)
        and model._meta.object_name not in ("ApiClient", "Session", "Revision", "Tally")
        for row in model._base_manager.filter(tenant=tenant).order_by("pk")
    ]


def query_strings(operation: JsonObject) -> Iterator[dict[str, str]]:
    """Yield what names `foreign` in each parameter of the operation, and in each field of a search."""
    yield {}
    if operation["operationId"] == "GET-customer-segment-explain":
        for kind in ("product", "category", "coupon"):
            yield {"customerId": "foreign", kind: "own"}
            yield {"customerId": "own", kind: "foreign"}
    for parameter in operation["parameters"]:
        if parameter["in"] == "query" and parameter["schema"].get("type") == "string":
            if parameter["name"] == "q":
                for field in ("id", "code", "customer.id", "item.id", "segmentId", "siteCode", "name.en"):
                    yield {"q": f"{field}:(foreign,SECRET)"}
                    yield {"q": f"{field}:exists"}
            else:
                yield {parameter["name"]: "foreign"}


def test_the_foreign_tenant_itself_reads_all_of_it(
    worlds: None, schema: JsonObject, other_tenant: Tenant, service_api: Callable[..., Api]
) -> None:
    """Or else that nobody else does would mean nothing."""
    globex = service_api(*SERVICE_SCOPES, tenant=other_tenant)
    silent = []
    for method, path, _ in operations(schema):
        # of a customer, or of work in the background, whose id a test cannot choose
        apart = ("referral", "undo-jobs", "/me/", "{operationId}", "{evaluationId}", "{importId}")
        apart += ("/config/{code}", "/deliveries/{id}", "segment-set")
        if method == "get" and not any(part in path for part in apart):
            name = "foreign-above" if "category-trees/" in path else "foreign"  # a tree is named by its root
            asked = {"customerId": name, "product": name} if "explanations" in path else {}
            asked |= {"customerId": name} if path.endswith("/explanation") else {}
            answer = globex.get(filled(path, "globex", name), **asked)
            if answer.status_code != 200 or answer.content == b"[]":
                silent.append((path, answer.status_code, answer.content))
    assert silent == []


def test_no_read_shows_what_is_foreign(
    worlds: None, schema: JsonObject, other_tenant: Tenant, service_api: Callable[..., Api]
) -> None:
    acme = service_api(*SERVICE_SCOPES)
    shown = []
    for method, path, operation in operations(schema):
        if method != "get":
            continue
        for name in ("foreign", "own"):
            for query in query_strings(operation):
                answer = acme.get(filled(path, "acme", name), **query)
                names_foreign = name == "foreign" and path.count("{") > 1 + path.count("{type}")
                if (
                    b"SECRET" in answer.content
                    or answer.status_code >= 500
                    or (names_foreign and answer.status_code < 400 and answer.content not in (b"[]", b""))
                ):
                    shown.append((path, name, query, answer.status_code, answer.content))
    assert shown == []


@pytest.mark.parametrize("name", ["foreign", "own"])
def test_no_write_changes_or_shows_what_is_foreign(
    worlds: None,
    schema: JsonObject,
    other_tenant: Tenant,
    service_api: Callable[..., Api],
    name: str,
) -> None:
    acme = service_api(*SERVICE_SCOPES)
    before = rows_of(other_tenant)
    faults = []
    for method, path, operation in operations(schema):
        if method == "get":
            continue
        body = body_of(operation, schema, "foreign")
        for sent in (body, ["foreign"]) if isinstance(body, list) else (body,):
            answer = acme.send(method, filled(path, "acme", name), sent)
            if b"SECRET" in answer.content or answer.status_code >= 500:
                faults.append((method, path, answer.status_code, answer.content))
    assert faults == []
    assert rows_of(other_tenant) == before


@pytest.mark.parametrize("tenant_name", ["globex", "nobody"])
def test_the_path_of_another_tenant_is_forbidden(
    worlds: None,
    schema: JsonObject,
    other_tenant: Tenant,
    service_api: Callable[..., Api],
    tenant_name: str,
) -> None:
    acme = service_api(*SERVICE_SCOPES)
    before = rows_of(other_tenant)
    allowed = []
    for method, path, operation in operations(schema):
        address = filled(path, tenant_name, "foreign")
        answer = acme.send(method, address, body_of(operation, schema, "foreign"))
        if answer.status_code != 403 or b"SECRET" in answer.content:
            allowed.append((method, path, answer.status_code, answer.content))
    assert allowed == []
    assert rows_of(other_tenant) == before
