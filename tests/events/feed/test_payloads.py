"""Every type of event: what its payload holds, also when the rows have changed or gone since."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command

from accounts.identity.scopes import SERVICE_SCOPES
from accounts.operations.erasure import erase_customer
from core.personal_data.pseudonyms import pseudonym_of
from core.representation.fields import Nested
from events.event_types import EVENT_TYPES
from events.feed.sources import made_types
from events.feed.windows import BOUNDARIES, PAYLOAD
from events.models import Event
from tests.events.feed.conftest import subscribe
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import ProductFactory
from tests.segments.rules.settling import make_rule

SEGMENTS = "/customer-segment/acme/segments"


class Shop:
    """A client whose requests all succeed."""

    def __init__(self, api):
        self.api = api

    def __getattr__(self, method):
        def send(*arguments, **options):
            answer = getattr(self.api, method)(*arguments, **options)
            assert answer.status_code < 300, answer.content
            return answer

        return send


@pytest.fixture
def api(service_api, site):
    return Shop(service_api(*SERVICE_SCOPES))


@pytest.fixture
def gold(api):
    """A segment; its creation is not in the feed."""
    body = {"name": {"en": "Gold", "de": "Gold"}, "siteCode": "main", "status": "INACTIVE"}
    api.put(f"{SEGMENTS}/gold", body)
    return "gold"


def without_times(value: object) -> object:
    """Replace instants by a word: tests run at any time."""
    if isinstance(value, dict):
        return {
            name: "instant" if name.endswith("At") else without_times(part) for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(without_times(part) for part in value)
    return value


def test_a_segment(api, tenant, feed):
    subscribe(tenant)
    body = {
        "name": {"en": "Gold"},
        "siteCode": "main",
        "status": "ACTIVE",
        "validity": {"from": "2020-01-01T00:00:00.000Z"},
        "mixins": {"colour": {"hex": "#fd0", "nothing": None}},
    }
    api.put(f"{SEGMENTS}/gold", body)
    api.patch(f"{SEGMENTS}/gold", {"status": "INACTIVE", "description": {"en": "The best"}})
    api.patch(f"{SEGMENTS}/gold", {"name": {"en": "Golden"}})
    api.delete(f"{SEGMENTS}/gold")

    shown = {
        "id": "gold",
        "name": {"en": "Gold"},
        "siteCode": "main",
        "status": "ACTIVE",
        "validity": {"from": "2020-01-01T00:00:00.000Z"},
        "metadata": {"createdAt": "instant", "modifiedAt": "instant", "version": 1},
        "tenant": "acme",
    }
    second = {
        **shown,
        "status": "INACTIVE",
        "description": {"en": "The best"},
        "metadata": {**shown["metadata"], "version": 2},
        "mixins": body["mixins"],
        "previousStatus": "ACTIVE",
    }
    third = {
        **second,
        "name": {"en": "Golden"},
        "metadata": {**shown["metadata"], "version": 3},
        "previousStatus": "INACTIVE",
    }
    assert without_times(feed(tenant)) == [
        ("customer-segment.segment-created", shown),
        ("customer-segment.segment-updated", second),
        ("customer-segment.segment-updated", third),
        ("customer-segment.segment-deleted", {"id": "gold", "tenant": "acme"}),
    ]


METADATA = {"createdAt": "instant", "modifiedAt": "instant", "version": 1}


def test_customers_of_a_segment(api, tenant, feed, gold):
    CustomerFactory(tenant=tenant, external_id="C1", email="c1@example.com")
    company = LegalEntityFactory(tenant=tenant, external_id="L1", name="Company")
    ContactAssignmentFactory(legal_entity=company, customer__external_id="C2", customer__email=None)
    subscribe(tenant)
    api.put(f"{SEGMENTS}/gold/customers/C1", {"mixins": {"a": {"b": None}}})
    api.put(f"{SEGMENTS}/gold/customers/C2/L1", {})
    api.put(f"{SEGMENTS}/gold/customers/C1", {"mixins": {"a": {"b": 1}}})
    api.delete(f"{SEGMENTS}/gold/customers/C1")
    api.delete("/customer/acme/customers/C2")

    first = {
        "assignmentType": "MANUAL",
        "customer": {"id": "C1", "firstName": "John", "lastName": "Doe", "email": "c1@example.com"},
        "segmentId": "gold",
        "mixins": {"a": {"b": None}},
        "metadata": METADATA,
        "tenant": "acme",
    }
    assert without_times(feed(tenant)) == [
        ("customer-segment.customer-assignment-created", first),
        (
            "customer-segment.customer-assignment-created",
            {
                "assignmentType": "MANUAL",
                "customer": {"id": "C2"},
                "legalEntity": {"id": "L1", "name": "Company"},
                "segmentId": "gold",
                "metadata": METADATA,
                "tenant": "acme",
            },
        ),
        (
            "customer-segment.customer-assignment-updated",
            {**first, "mixins": {"a": {"b": 1}}, "metadata": {**METADATA, "version": 2}},
        ),
        (
            "customer-segment.customer-assignment-deleted",
            {"segmentId": "gold", "customerId": "C1", "tenant": "acme"},
        ),
        (
            "customer-segment.customer-assignment-deleted",
            {"segmentId": "gold", "customerId": "C2", "legalEntityId": "L1", "tenant": "acme"},
        ),
    ]


def test_items_of_a_segment(api, tenant, feed, gold):
    ProductFactory(tenant=tenant, external_id="P1", code="p1", name={"en": "Shoe"})
    api.put(
        "/category/acme/categories/shoes", {"localizedName": {"en": "Shoes"}, "code": "SH", "published": True}
    )
    subscribe(tenant, "customer-segment.item-assignment-created", "customer-segment.item-assignment-deleted")
    subscribe(tenant, "customer-segment.item-assignment-updated")
    api.put(f"{SEGMENTS}/gold/items/PRODUCT/P1", {})
    api.put(f"{SEGMENTS}/gold/items/CATEGORY/shoes", {})
    api.put(f"{SEGMENTS}/gold/items/CATEGORY/shoes", {"mixins": {"a": {}}})
    api.delete(f"{SEGMENTS}/gold", forceDelete="true")

    shoes = {
        "segmentId": "gold",
        "type": "CATEGORY",
        "item": {"id": "shoes", "code": "SH", "name": {"en": "Shoes"}},
        "metadata": METADATA,
        "tenant": "acme",
    }
    events = without_times(feed(tenant))
    assert events[:3] == [
        (
            "customer-segment.item-assignment-created",
            {
                "segmentId": "gold",
                "type": "PRODUCT",
                "item": {"id": "P1", "code": "p1", "name": {"en": "Shoe"}},
                "metadata": METADATA,
                "tenant": "acme",
            },
        ),
        ("customer-segment.item-assignment-created", shoes),
        (
            "customer-segment.item-assignment-updated",
            {**shoes, "mixins": {"a": {}}, "metadata": {**METADATA, "version": 2}},
        ),
    ]
    deleted = {"segmentId": "gold", "tenant": "acme"}
    assert sorted(events[3:], key=str) == [
        ("customer-segment.item-assignment-deleted", {**deleted, "type": "CATEGORY", "itemId": "shoes"}),
        ("customer-segment.item-assignment-deleted", {**deleted, "type": "PRODUCT", "itemId": "P1"}),
    ]


def test_categories_and_their_products(api, tenant, feed):
    product = {"id": "P1", "code": "p1", "name": {"en": "Shoe"}}
    subscribe(tenant)
    body = {
        "localizedName": {"en": "Shoes"},
        "localizedSlug": {"en": "shoes"},
        "code": "SH",
        "ecn": ["1", "2"],
        "validity": {"from": "2020-01-01T00:00:00.000Z"},
        "published": True,
    }
    api.put("/category/acme/categories/shoes", body)
    api.put(
        "/category/acme/categories/boots",
        {"localizedName": {"en": "Boots"}, "parentId": "shoes", "published": False},
    )
    mixins = [{"name": "size", "schemaUrl": "https://example.com/size"}]
    api.patch("/category/acme/categories/boots", {"ownClassificationMixins": mixins, "code": "B"})
    api.post("/product/acme/products", product)
    reference = {"ref": {"id": "P1", "type": "PRODUCT"}}
    api.post("/category/acme/categories/boots/assignments", reference)
    api.delete("/product/acme/products/P1")
    api.delete("/category/acme/categories/boots")

    events = without_times(feed(tenant))
    shoes = {
        "id": "shoes",
        "type": "STANDARD",
        "name": {"name": {"en": "Shoes"}},
        "slug": {"code": {"en": "shoes"}},
        "ecn": {"externalCategoryNumbers": ["1", "2"]},
        "validity": {"from": "2020-01-01T00:00:00.000Z"},
        "position": {"position": 0},
        "publish": {"published": True},
        "metadata": {**METADATA, "version": 0},
    }
    boots = {
        "id": "boots",
        "parentId": "shoes",
        "type": "STANDARD",
        "name": {"name": {"en": "Boots"}},
        "ecn": {"externalCategoryNumbers": []},
        "position": {"position": 0},
        "publish": {"published": False},
        "metadata": {**METADATA, "version": 0},
    }
    assert events[:3] == [
        ("category.created", {**shoes, "classificationMixins": []}),
        ("category.created", {**boots, "classificationMixins": []}),
        (
            "category.updated",
            {
                **boots,
                "metadata": {**METADATA, "version": 1},
                "classificationMixinsBefore": [],
                "classificationMixinsAfter": [{**mixins[0], "required": False}],
            },
        ),
    ]
    assert [name for name, _ in events[3:]] == [
        "product.created",
        "assignment.created",
        "product.deleted",
        "assignment.deleted",
        "category.deleted",
    ]
    created, assigned, gone, taken_out, deleted = [payload for _, payload in events[3:]]
    assert created["id"] == "P1"
    assignment = {
        "id": assigned["assignment"]["id"],
        "categoryId": "boots",
        "createdAt": "instant",
        "ref": {"id": "P1", "type": "PRODUCT"},
    }
    assert assigned == {"categoryId": "boots", "assignment": assignment, "metadata": {"createdAt": "instant"}}
    assert taken_out == {"categoryId": "boots", "assignments": [assignment]}
    assert gone == {"id": "P1", "code": "p1"}
    assert deleted == {"id": "boots", "parentId": "shoes"}


def test_coupons_and_redemptions(api, tenant, feed):
    CustomerFactory(tenant=tenant, external_id="C1")
    subscribe(tenant)
    terms = {
        "name": "Sale",
        "discountType": "ABSOLUTE",
        "discountAbsolute": {"amount": 5, "currency": "EUR"},
        "restrictions": {"validFor": ["C1"], "minOrderValue": {"amount": 10, "currency": "EUR"}},
    }
    api.post("/coupon/acme/coupons", {"code": "SALE", **terms})
    api.patch("/coupon/acme/coupons/SALE", {"name": "Great sale"})
    order = {
        "orderTotal": {"amount": 90, "currency": "EUR"},
        "discount": {"amount": 5, "currency": "EUR"},
        "orderCode": "O1",
        "customerNumber": "C1",
    }
    redemption = api.post("/coupon/acme/coupons/SALE/redemptions", order).json()["id"]
    sent = feed(tenant)
    api.delete(f"/coupon/acme/coupons/SALE/redemptions/{redemption}")
    api.delete("/coupon/acme/coupons/SALE")

    sale = {
        "code": "SALE",
        "name": "Sale",
        "discountType": "ABSOLUTE",
        "discountAbsolute": {"amount": 5, "currency": "EUR"},
        "discountCalculationType": "SUBTOTAL",
        "allowAnonymous": False,
        "maxRedemptions": -1,
        "maxRedemptionsPerCustomer": -1,
        "categoryRestricted": False,
        "segmentRestricted": False,
        "restrictions": {"minOrderValue": {"amount": 10, "currency": "EUR"}},
        "metadata": {**METADATA, "version": 0},
        "tenant": "acme",
    }
    redeemed = {"id": redemption, "code": "SALE", **order, "redeemedAt": "instant", "tenant": "acme"}
    assert without_times(sent + feed(tenant)) == [
        ("coupon.created", sale),
        ("coupon.updated", {**sale, "name": "Great sale", "metadata": {**METADATA, "version": 1}}),
        ("coupon.redemption-created", redeemed),
        ("coupon.redemption-deleted", redeemed),
        ("coupon.deleted", {"code": "SALE", "tenant": "acme"}),
    ]


def test_the_codes_of_a_campaign_have_its_terms(api, tenant, feed):
    subscribe(tenant, "coupon.created")
    template = {"name": "Mailing", "discountType": "PERCENT", "discountPercentage": 20}
    api.post("/coupon/acme/coupon-campaigns", {"count": 3, "prefix": "MAIL", "template": template})

    events = feed(tenant)
    assert {(name, payload["name"], payload["discountPercentage"]) for name, payload in events} == {
        ("coupon.created", "Mailing", 20)
    }
    assert len(events) == len({payload["code"] for _, payload in events}) == 3


def test_an_import(tenant, site, feed, tmp_path):
    path = tmp_path / "segments.csv"
    path.write_text("id,name.en,siteCode\ngold,Gold,main\nsilver,Silver,nowhere\n")
    subscribe(tenant, "import.finished")
    with pytest.raises(SystemExit):
        call_command("upsert_segments", str(path), "--tenant", "acme", stdout=StringIO(), stderr=StringIO())

    [(name, payload)] = without_times(feed(tenant))
    assert name == "import.finished"
    assert payload.pop("runId").isdigit()
    assert payload == {
        "kind": "segments",
        "mode": "upsert",
        "status": "finished",
        "counts": {
            "rows": 2,
            "created": 1,
            "changed": 0,
            "unchanged": 0,
            "repeated": 0,
            "removed": 0,
            "refused": 1,
        },
        "startedAt": "instant",
        "finishedAt": "instant",
        "tenant": "acme",
    }


def test_a_rule(tenant, feed, now):
    CustomerFactory(tenant=tenant, external_id="C1")
    subscribe(tenant, "rule.evaluated")
    make_rule(tenant, "onHold:false", at=now)

    assert without_times(feed(tenant)) == [
        (
            "rule.evaluated",
            {
                "segmentId": "ruled",
                "added": 1,
                "removed": 0,
                "members": 1,
                "evaluatedAt": "instant",
                "tenant": "acme",
            },
        )
    ]


def test_a_row_is_shown_as_the_change_left_it_whatever_happened_since(api, tenant, feed, gold):
    CustomerFactory(tenant=tenant, external_id="C1")
    subscribe(tenant, "customer-segment.customer-assignment-created")
    subscribe(tenant, "customer-segment.customer-assignment-updated")
    for number in range(3):
        for size in ("S", "M", "L"):
            api.put(f"{SEGMENTS}/gold/customers/C1", {"mixins": {"size": size, "turn": number}})
        if number < 2:
            api.delete(f"{SEGMENTS}/gold/customers/C1")

    shown = [
        (payload["metadata"]["version"], payload["mixins"]["size"], payload["mixins"]["turn"])
        for _, payload in feed(tenant)
    ]
    assert shown == [
        (version, size, number) for number in range(3) for version, size in enumerate("SML", start=1)
    ]


def test_erased_customers_are_pseudonyms(api, tenant, feed, gold):
    CustomerFactory(tenant=tenant, external_id="C1", email="c1@example.com")
    subscribe(tenant)
    api.put(f"{SEGMENTS}/gold/customers/C1", {"mixins": {"likes": "cake"}})
    api.post("/coupon/acme/coupons", {"code": "A", "name": "A", "discountType": "FREE_SHIPPING"})
    order = {"orderTotal": {"amount": 90, "currency": "EUR"}, "discount": {"amount": 5, "currency": "EUR"}}
    api.post("/coupon/acme/coupons/A/redemptions", {**order, "customerNumber": "C1", "orderCode": "C1-2"})
    feed(tenant)  # what is stored, and what is composed after the erasure
    api.put(f"{SEGMENTS}/gold/customers/C1", {"mixins": {"likes": "tea"}})
    erase_customer(tenant_id=tenant.pk, external_id="C1", requested_by="test", at=datetime.now(UTC))
    feed(tenant)

    pseudonym = pseudonym_of(tenant.pk, "C1")
    events = list(Event.objects.order_by("pk").values_list("type", "payload", "customer_number"))
    of_customer = {name: payload for name, payload, number in events if number == pseudonym}
    assert of_customer["customer-segment.customer-assignment-created"]["customer"] == {"id": pseudonym}
    assert of_customer["customer-segment.customer-assignment-updated"]["customer"] == {"id": pseudonym}
    assert of_customer["customer-segment.customer-assignment-deleted"]["customerId"] == pseudonym
    assert of_customer["coupon.redemption-created"]["customerNumber"] == pseudonym
    texts = str(events)
    assert [word for word in ("C1", "c1@", "John", "Doe", "cake", "tea") if word in texts] == []


def names_of(fields):
    """Return the names of fields, with those inside; a leaf is None."""
    return {
        name: names_of(field.fields) if isinstance(field, Nested) else None for name, field in fields.items()
    }


def names_in(schema, fields):
    """Return the same of a schema, as deep as the fields go: an object may be said as a whole."""
    return {
        name: names_in(part, fields.get(name) or {}) if isinstance(part, dict) else fields.get(name)
        for name, part in schema.items()
    }


@pytest.mark.parametrize("name", sorted(made_types() | dict.fromkeys(BOUNDARIES, PAYLOAD)))
def test_a_payload_has_the_fields_of_its_schema(name):
    fields = names_of((made_types() | dict.fromkeys(BOUNDARIES, PAYLOAD))[name])
    assert fields == names_in(EVENT_TYPES[name].schema, fields)


def test_every_type_that_one_can_subscribe_to_is_made():
    assert set(EVENT_TYPES) == set(made_types()) | set(BOUNDARIES)
