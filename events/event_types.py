"""The types of events that the service makes: what clients may subscribe to, and the fields of payloads.

Names are the published ones where there are any; the others are extensions.
"""

from dataclasses import dataclass

from accounts.identity.scopes import (
    CATEGORY_READ_UNPUBLISHED,
    COUPON_READ,
    CUSTOMER_READ,
    PRODUCT_READ_UNPUBLISHED,
    SEGMENT_READ,
)
from core.json_types import JsonObject

LOCALIZED = "LocalizedString"
STRING, NUMBER, BOOLEAN, OBJECT, DATE = "String", "Number", "Boolean", "Object", "Date"
TEST_EVENT = "webhook.test"
"""The type of test events. Nobody subscribes to it; they go to one target and are not in the feed."""


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event: its texts by language, the fields of its payload, and the scopes that read it."""

    name: str
    group: dict[str, str]
    title: dict[str, str]
    description: dict[str, str]
    schema: JsonObject
    scopes: tuple[str, ...]


SEGMENTS = {"en": "Customer segments", "de": "Kundensegmente"}
CATEGORIES = {"en": "Categories", "de": "Kategorien"}
PRODUCTS = {"en": "Products", "de": "Produkte"}
COUPONS = {"en": "Coupons", "de": "Gutscheine"}
IMPORTS = {"en": "Imports", "de": "Importe"}
RULES = {"en": "Rules", "de": "Regeln"}

SEGMENT = {
    "id": STRING,
    "name": LOCALIZED,
    "description": LOCALIZED,
    "siteCode": STRING,
    "status": STRING,
    "validity": OBJECT,
    "metadata": OBJECT,
    "tenant": STRING,
}
CUSTOMER_ASSIGNMENT = {
    "assignmentType": STRING,
    "customer": {"id": STRING, "firstName": STRING, "lastName": STRING, "email": STRING},
    "legalEntity": {"id": STRING, "name": STRING},
    "segmentId": STRING,
    "mixins": OBJECT,
    "metadata": OBJECT,
    "tenant": STRING,
}
ITEM_ASSIGNMENT = {
    "segmentId": STRING,
    "type": STRING,
    "item": {"id": STRING, "code": STRING, "name": LOCALIZED},
    "mixins": OBJECT,
    "metadata": OBJECT,
    "tenant": STRING,
}
CATEGORY = {
    "id": STRING,
    "parentId": STRING,
    "type": STRING,
    "name": {"name": LOCALIZED},
    "description": {"description": LOCALIZED},
    "slug": {"code": LOCALIZED},
    "ecn": {"externalCategoryNumbers": [STRING]},
    "validity": {"from": STRING, "to": STRING},
    "position": {"position": NUMBER},
    "publish": {"published": BOOLEAN},
    "mixins": OBJECT,
    "metadata": {"version": NUMBER, "createdAt": STRING, "modifiedAt": STRING},
}
CATEGORY_ASSIGNMENT = {
    "id": STRING,
    "categoryId": STRING,
    "createdAt": STRING,
    "ref": {"id": STRING, "type": STRING},
}
PRODUCT = {
    "id": STRING,
    "code": STRING,
    "name": LOCALIZED,
    "description": LOCALIZED,
    "productType": STRING,
    "published": BOOLEAN,
    "metadata": OBJECT,
}
MONEY = {"amount": NUMBER, "currency": STRING}
COUPON = {
    "code": STRING,
    "name": STRING,
    "description": STRING,
    "discountType": STRING,
    "discountPercentage": NUMBER,
    "discountAbsolute": MONEY,
    "discountCalculationType": STRING,
    "allowAnonymous": BOOLEAN,
    "maxRedemptions": NUMBER,
    "maxRedemptionsPerCustomer": NUMBER,
    "categoryRestricted": BOOLEAN,
    "segmentRestricted": BOOLEAN,
    "referralCoupon": BOOLEAN,
    "restrictions": OBJECT,
    "mixins": OBJECT,
    "metadata": OBJECT,
    "tenant": STRING,
}
REDEMPTION = {
    "id": STRING,
    "code": STRING,
    "customerNumber": STRING,
    "legalEntityId": STRING,
    "orderCode": STRING,
    "orderTotal": MONEY,
    "discount": MONEY,
    "redeemedAt": STRING,
    "tenant": STRING,
}
WINDOW = {
    "object": STRING,
    "segmentId": STRING,
    "siteCode": STRING,
    "status": STRING,
    "at": STRING,
    "validity": OBJECT,
    "tenant": STRING,
}
IMPORT = {
    "runId": STRING,
    "kind": STRING,
    "mode": STRING,
    "status": STRING,
    "counts": OBJECT,
    "startedAt": STRING,
    "finishedAt": STRING,
    "tenant": STRING,
}
RULE = {
    "segmentId": STRING,
    "added": NUMBER,
    "removed": NUMBER,
    "members": NUMBER,
    "evaluatedAt": STRING,
    "tenant": STRING,
}

VERBS = {
    "created": ({"en": "Created", "de": "Angelegt"}, {"en": "has been created", "de": "angelegt wurde"}),
    "updated": ({"en": "Updated", "de": "Geändert"}, {"en": "has been changed", "de": "geändert wurde"}),
    "deleted": ({"en": "Deleted", "de": "Gelöscht"}, {"en": "has been deleted", "de": "gelöscht wurde"}),
    "opened": ({"en": "Opened", "de": "Geöffnet"}, {"en": "has opened", "de": "begonnen hat"}),
    "closed": ({"en": "Closed", "de": "Geschlossen"}, {"en": "has closed", "de": "geendet hat"}),
    "finished": ({"en": "Finished", "de": "Beendet"}, {"en": "has finished", "de": "beendet ist"}),
    "evaluated": (
        {"en": "Evaluated", "de": "Ausgewertet"},
        {"en": "has been evaluated", "de": "ausgewertet wurde"},
    ),
}


def event_type(
    name: str,
    group: dict[str, str],
    noun: tuple[str, str],
    schema: JsonObject,
    *scopes: str,
) -> EventType:
    """Return the type; what happens is the last word of its name, to what the noun in English and German."""
    english, german = noun
    verb, happened = VERBS[name.replace("-", ".").rpartition(".")[2]]
    title = {
        "en": f"{english[0].upper()}{english[1:]}: {verb['en'].lower()}",
        "de": f"{german.split(' ', 1)[1]}: {verb['de'].lower()}",
    }
    description = {
        "en": f"The event is emitted when {article(english)} {english} {happened['en']}.",
        "de": f"Das Ereignis wird gesendet, wenn {german} {happened['de']}.",
    }
    return EventType(name, group, title, description, schema, scopes)


def article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def named(*names: str, of: JsonObject) -> JsonObject:
    return {name: of[name] for name in names}


SEGMENT_NOUN = ("segment", "ein Segment")
MEMBER_NOUN = ("assignment of a customer to a segment", "eine Zuordnung eines Kunden zu einem Segment")
ITEM_NOUN = ("assignment of an item to a segment", "eine Zuordnung eines Artikels zu einem Segment")
CATEGORY_NOUN = ("category", "eine Kategorie")
PRODUCT_IN_CATEGORY = (
    "assignment of a product to a category",
    "eine Zuordnung eines Produkts zu einer Kategorie",
)
PRODUCT_NOUN = ("product", "ein Produkt")
COUPON_NOUN = ("coupon", "ein Gutschein")
REDEMPTION_NOUN = ("redemption of a coupon", "eine Einlösung eines Gutscheins")
WINDOW_NOUN = ("validity window of a segment", "ein Gültigkeitszeitraum eines Segments")

MEMBER_SCOPES = (SEGMENT_READ, CUSTOMER_READ)
EVENT_TYPES: dict[str, EventType] = {
    one.name: one
    for one in (
        event_type("customer-segment.segment-created", SEGMENTS, SEGMENT_NOUN, SEGMENT, SEGMENT_READ),
        event_type(
            "customer-segment.segment-updated",
            SEGMENTS,
            SEGMENT_NOUN,
            {**SEGMENT, "mixins": OBJECT, "previousStatus": STRING},
            SEGMENT_READ,
        ),
        event_type(
            "customer-segment.segment-deleted",
            SEGMENTS,
            SEGMENT_NOUN,
            named("id", "tenant", of=SEGMENT),
            SEGMENT_READ,
        ),
        event_type(
            "customer-segment.customer-assignment-created",
            SEGMENTS,
            MEMBER_NOUN,
            CUSTOMER_ASSIGNMENT,
            *MEMBER_SCOPES,
        ),
        event_type(
            "customer-segment.customer-assignment-updated",
            SEGMENTS,
            MEMBER_NOUN,
            CUSTOMER_ASSIGNMENT,
            *MEMBER_SCOPES,
        ),
        event_type(
            "customer-segment.customer-assignment-deleted",
            SEGMENTS,
            MEMBER_NOUN,
            {"segmentId": STRING, "customerId": STRING, "legalEntityId": STRING, "tenant": STRING},
            *MEMBER_SCOPES,
        ),
        event_type(
            "customer-segment.item-assignment-created", SEGMENTS, ITEM_NOUN, ITEM_ASSIGNMENT, SEGMENT_READ
        ),
        event_type(
            "customer-segment.item-assignment-updated", SEGMENTS, ITEM_NOUN, ITEM_ASSIGNMENT, SEGMENT_READ
        ),
        event_type(
            "customer-segment.item-assignment-deleted",
            SEGMENTS,
            ITEM_NOUN,
            {"segmentId": STRING, "type": STRING, "itemId": STRING, "tenant": STRING},
            SEGMENT_READ,
        ),
        event_type(
            "category.created",
            CATEGORIES,
            CATEGORY_NOUN,
            {**CATEGORY, "classificationMixins": []},
            CATEGORY_READ_UNPUBLISHED,
        ),
        event_type(
            "category.updated",
            CATEGORIES,
            CATEGORY_NOUN,
            {**CATEGORY, "classificationMixinsBefore": [], "classificationMixinsAfter": []},
            CATEGORY_READ_UNPUBLISHED,
        ),
        event_type(
            "category.deleted",
            CATEGORIES,
            CATEGORY_NOUN,
            named("id", "parentId", of=CATEGORY),
            CATEGORY_READ_UNPUBLISHED,
        ),
        event_type(
            "assignment.created",
            CATEGORIES,
            PRODUCT_IN_CATEGORY,
            {
                "categoryId": STRING,
                "assignment": CATEGORY_ASSIGNMENT,
                "metadata": {"createdAt": STRING},
            },
            CATEGORY_READ_UNPUBLISHED,
        ),
        event_type(
            "assignment.deleted",
            CATEGORIES,
            PRODUCT_IN_CATEGORY,
            {"categoryId": STRING, "assignments": [CATEGORY_ASSIGNMENT]},
            CATEGORY_READ_UNPUBLISHED,
        ),
        event_type("product.created", PRODUCTS, PRODUCT_NOUN, PRODUCT, PRODUCT_READ_UNPUBLISHED),
        event_type("product.updated", PRODUCTS, PRODUCT_NOUN, PRODUCT, PRODUCT_READ_UNPUBLISHED),
        event_type(
            "product.deleted",
            PRODUCTS,
            PRODUCT_NOUN,
            named("id", "code", of=PRODUCT),
            PRODUCT_READ_UNPUBLISHED,
        ),
        event_type("coupon.created", COUPONS, COUPON_NOUN, COUPON, COUPON_READ),
        event_type("coupon.updated", COUPONS, COUPON_NOUN, COUPON, COUPON_READ),
        event_type("coupon.deleted", COUPONS, COUPON_NOUN, named("code", "tenant", of=COUPON), COUPON_READ),
        event_type("coupon.redemption-created", COUPONS, REDEMPTION_NOUN, REDEMPTION, COUPON_READ),
        event_type(
            "coupon.redemption-deleted",
            COUPONS,
            REDEMPTION_NOUN,
            REDEMPTION,
            COUPON_READ,
        ),
        event_type("segment.window-opened", SEGMENTS, WINDOW_NOUN, WINDOW, SEGMENT_READ),
        event_type("segment.window-closed", SEGMENTS, WINDOW_NOUN, WINDOW, SEGMENT_READ),
        event_type("import.finished", IMPORTS, ("import", "ein Import"), IMPORT, SEGMENT_READ),
        event_type("rule.evaluated", RULES, ("rule", "eine Regel"), RULE, *MEMBER_SCOPES),
    )
}


def normalized(name: str) -> str:
    """Return the name of a type as it is compared: clients write product.created or PRODUCT.CREATED."""
    return name.strip().lower().replace("_", "-")
