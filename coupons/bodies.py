"""What clients send to this service. Fields are named like their columns."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import NAMESPACE_OID, uuid5

import msgspec
from msgspec import Meta

from core.bodies import (
    Body,
    ClientId,
    DocumentBody,
    Instant,
    OptionalReference,
    SchemaMetadata,
    in_utc,
    read_body,
)
from core.errors import InvalidBody, Problem
from core.json_types import JsonObject
from core.tenancy.identifiers import UNREACHABLE_IDS
from core.text import trimmed
from core.timestamps import format_time
from coupons.models import Coupon
from coupons.models.campaigns import MOST_CODES_OF_CAMPAIGN
from coupons.money import Money, Percentage, stored_money
from coupons.orders import LONGEST_ORDER_CODE, CartBody, Order

LONGEST_ID = 128
LONGEST_NAME = 300
LONGEST_TEXT = 10_000
MOST_CUSTOMERS = 10_000
MOST_SEGMENTS = 200
MOST_CATEGORIES = 1_000
UNLIMITED = -1
MOST_REDEMPTIONS = 2_147_483_647

Id = OptionalReference
Limit = Annotated[int, Meta(ge=UNLIMITED, le=MOST_REDEMPTIONS)]
Segments = Annotated[list[Id], Meta(max_length=MOST_SEGMENTS)]
Categories = Annotated[list[Id], Meta(max_length=MOST_CATEGORIES)]


def distinct(ids: list[str]) -> list[str]:
    """Return the ids in the order given, each once and trimmed; blank ones are left out."""
    return list(dict.fromkeys(filter(None, map(trimmed, ids))))


class Restrictions(Body):
    """Who may redeem a coupon, when, and for what."""

    valid_for: Annotated[
        list[Id],
        Meta(
            max_length=MOST_CUSTOMERS,
            description="The ids of the only customers who may redeem it; empty for everybody.",
        ),
    ] = []
    valid_from: Annotated[Instant, Meta(description="The first instant at which it is valid.")] | None = None
    valid_to: Annotated[Instant, Meta(description="The last instant at which it is valid.")] | None = (
        msgspec.field(name="validUntil", default=None)
    )
    min_order_value: Annotated[Money | None, Meta(description="The order's total must be at least this.")] = (
        None
    )
    segments: Annotated[
        Segments, Meta(description="Members of one of these segments may redeem it. Needs segmentRestricted.")
    ] = []
    included_categories: Annotated[
        Categories,
        Meta(description="It is for products in or below these categories. Needs categoryRestricted."),
    ] = []
    excluded_categories: Annotated[
        Categories,
        Meta(description="It is not for products in or below these categories. Needs categoryRestricted."),
    ] = []

    def __post_init__(self) -> None:
        # A list of blanks stays one, so that the rules refuse it: it must not open the coupon to everybody.
        self.valid_for = distinct(self.valid_for) or self.valid_for[:1]
        self.segments = distinct(self.segments)
        self.included_categories = distinct(self.included_categories)
        self.excluded_categories = distinct(self.excluded_categories)
        self.valid_from, self.valid_to = in_utc(self.valid_from), in_utc(self.valid_to)


class CouponBody(DocumentBody, kw_only=True):
    """A coupon: everything but its use. Segments and categories are named by their ids."""

    name: Annotated[str, Meta(max_length=LONGEST_NAME, description="What staff and customers call it.")]
    code: Annotated[
        str,
        Meta(
            max_length=1_000,
            description="What customers enter. Generated when absent; fixed afterwards.",
        ),
    ] = ""
    description: Annotated[str, Meta(max_length=LONGEST_TEXT, description="What it is for.")] = ""
    discount_type: Annotated[
        Literal["PERCENT", "ABSOLUTE", "FREE_SHIPPING"],
        Meta(description="A share of the order, an amount in a currency, or the cost of shipping."),
    ] = "ABSOLUTE"
    discount_percentage: Annotated[Percentage, Meta(description="The share of PERCENT.")] | None = None
    discount_absolute: Annotated[Money | None, Meta(description="The amount of ABSOLUTE.")] = None
    discount_calculation_type: Annotated[
        Literal["TOTAL", "SUBTOTAL"],
        Meta(description="Which sum of the order the shop applies the discount to."),
    ] = "SUBTOTAL"
    allows_anonymous: Annotated[
        bool, Meta(description="Whether customers who are not logged in may redeem it.")
    ] = msgspec.field(name="allowAnonymous", default=False)
    max_redemptions: Annotated[
        Limit, Meta(description="How often it can be redeemed in all; -1 is unlimited, 0 is never.")
    ] = UNLIMITED
    max_redemptions_per_customer: Annotated[
        Limit,
        Meta(description="How often a customer can redeem it for each legal entity; -1 is unlimited."),
    ] = UNLIMITED
    is_category_restricted: Annotated[
        bool, Meta(description="Whether it is for products of some categories only.")
    ] = msgspec.field(name="categoryRestricted", default=False)
    is_segment_restricted: Annotated[
        bool, Meta(description="Whether it is for members of some segments only.")
    ] = msgspec.field(name="segmentRestricted", default=False)
    restrictions: Annotated[Restrictions, Meta(description="Who may redeem it, when, and for what.")] = (
        msgspec.field(default_factory=Restrictions)
    )
    issued_to: Annotated[
        Id, Meta(description="The id of the customer who was given it; does not restrict it.")
    ] = ""
    is_listed: (
        Annotated[
            bool,
            Meta(
                description="Whether customers who can use it find it among their coupons. Absent: they do"
                " if validFor names them; a PUT without it keeps it."
            ),
        ]
        | None
    ) = msgspec.field(name="listed", default=None)
    metadata: Annotated[SchemaMetadata | None, Meta(description="The version and the mixins' schemas.")] = (
        None
    )

    def __post_init__(self) -> None:
        self.issued_to = trimmed(self.issued_to)


class CampaignBody(Body, kw_only=True):
    """A campaign: so many single-use codes that share the terms of one coupon."""

    count: Annotated[int, Meta(ge=1, le=MOST_CODES_OF_CAMPAIGN, description="How many codes are to be made.")]
    template: Annotated[
        CouponBody,
        Meta(description="The terms of all its codes. Each can be used once; codes are generated."),
    ]
    prefix: Annotated[str, Meta(max_length=32, description="What each code begins with.")] = ""
    id: Annotated[ClientId | None, Meta(description="The id of the campaign; generated when absent.")] = None

    def __post_init__(self) -> None:
        if self.template.max_redemptions not in (UNLIMITED, 1):
            raise ValueError("template.maxRedemptions must be 1 or absent: each code is used once.")
        if self.template.code:
            raise ValueError("template.code must be absent: the codes are generated.")


class ValidationBody(Order, kw_only=True):
    """An order and its customer, to be judged. The discount is required without items."""

    customer_number: Annotated[
        Id,
        Meta(description="The customer's id. Another than the caller needs coupon.coupon_redeem_on_behalf."),
    ] = ""
    legal_entity_id: Annotated[
        Id, Meta(description="The id of the legal entity that the customer acts for.")
    ] = ""


class RedemptionBody(ValidationBody, kw_only=True):
    """An order and its customer, for which a coupon is redeemed."""

    discount: Annotated[Money, Meta(description="The discount that the shop grants.")]


LONGEST_RESERVATION = 900
"""Seconds for which a use can be held."""

Seconds = Annotated[
    int,
    Meta(
        ge=1,
        le=LONGEST_RESERVATION,
        description="For how many seconds the use is held; as long as possible when absent.",
    ),
]


class ReservationBody(RedemptionBody, kw_only=True):
    """An order and its customer, for which a use of a coupon is held."""

    ttl_seconds: Seconds = LONGEST_RESERVATION


class ConfirmationBody(Body):
    """The order for which a reservation is confirmed."""

    order_code: Annotated[
        str,
        Meta(
            max_length=LONGEST_ORDER_CODE,
            description="The code of the order; that of the reservation when absent.",
        ),
    ] = ""

    def __post_init__(self) -> None:
        self.order_code = self.order_code.strip()


class CartValidationBody(CartBody, kw_only=True):
    """A cart whose codes are judged."""

    suggest: Annotated[
        bool,
        Meta(description="Suggest the best set of these codes and of the coupons listed for the customer."),
    ] = False


class CartReservationBody(CartBody, kw_only=True):
    """A cart, all of whose coupons are held for its customer."""

    ttl_seconds: Seconds = LONGEST_RESERVATION


class PastRedemption(RedemptionBody, kw_only=True):
    """A redemption of another system. Without an id it gets one derived from its contents."""

    code: Annotated[str, Meta(min_length=1, max_length=LONGEST_ID, description="The coupon's code.")]
    redeemed_at: Annotated[Instant, Meta(description="When it was redeemed.")]
    id: Annotated[Id, Meta(description="The id of the redemption.")] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "/" in self.id or self.id in UNREACHABLE_IDS:
            raise ValueError("id must have no slash, and must not be . or ..")
        self.redeemed_at = in_utc(self.redeemed_at)

    @property
    def external_id(self) -> str:
        contents = (
            self.code,
            self.customer_number,
            self.legal_entity_id,
            self.order_code,
            self.redeemed_at.isoformat(),
            str(self.order_total),
            str(self.discount),
        )
        return self.id or str(uuid5(NAMESPACE_OID, "\0".join(contents)))


def read_validation(value: object) -> ValidationBody:
    """Return the body of a validation; raise InvalidBody with all that is wrong."""
    body = read_body(ValidationBody, value)
    if body.discount is None and body.items is None:
        raise InvalidBody([Problem("discount", "invalid", "discount is missing.")])
    return body


MONEY_COLUMNS = {"discount_absolute": "discount", "min_order_value": "min_order"}
COLUMNS = frozenset(field.column for field in Coupon._meta.concrete_fields)
LIMITS = ("max_redemptions", "max_redemptions_per_customer")


def columns_of(body: CouponBody) -> dict[str, object]:
    """Return the body as columns of the coupon's row, all but its code.

    Segments and categories have tables of their own.
    """
    columns: dict[str, object] = {}
    for part in (body, body.restrictions):
        for name, value in msgspec.structs.asdict(part).items():
            if prefix := MONEY_COLUMNS.get(name):
                columns[f"{prefix}_amount"] = value.amount if value else None
                columns[f"{prefix}_currency"] = value.currency if value else None
            elif name in LIMITS:
                columns[name] = None if value == UNLIMITED else value
            elif name in COLUMNS:
                columns[name] = value
    del columns["code"]
    return {**columns, "mixins": body.mixins, "mixin_schemas": body.mixin_schemas}


def stored_body(coupon: Coupon) -> CouponBody:
    """Return a stored coupon as a client would send it, with restrictions to what was deleted meanwhile."""
    categories = list(coupon.category_restrictions.values_list("category_external_id", "is_excluded"))
    named: JsonObject = {
        "segments": list(coupon.segment_restrictions.values_list("segment_external_id", flat=True)),
        "included_categories": [category for category, is_excluded in categories if not is_excluded],
        "excluded_categories": [category for category, is_excluded in categories if is_excluded],
    }
    body = values_of(coupon, CouponBody)
    body["metadata"] = SchemaMetadata(version=coupon.version, mixins=coupon.mixin_schemas)
    body["mixins"] = coupon.mixins
    return CouponBody(**body, restrictions=Restrictions(**values_of(coupon, Restrictions), **named))


def values_of(coupon: Coupon, kind: type[Body]) -> dict[str, Any]:
    """Return those fields of the body that are columns of the coupon."""
    values: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        if prefix := MONEY_COLUMNS.get(name):
            values[name] = stored_money(
                getattr(coupon, f"{prefix}_amount"), getattr(coupon, f"{prefix}_currency")
            )
        elif name in COLUMNS:
            value = getattr(coupon, name)
            values[name] = UNLIMITED if value is None and name in LIMITS else value
    return values


def patched_document(body: CouponBody) -> JsonObject:
    """Return the coupon as the JSON document that patches change; the code is not part of it."""
    document = without_nulls(msgspec.to_builtins(body, builtin_types=(Decimal, datetime), enc_hook=Decimal))
    del document["code"]
    for name in ("description", "issuedTo"):
        if not document[name]:
            del document[name]
    for name in ("segments", "includedCategories", "excludedCategories"):
        if not document["restrictions"][name]:
            del document["restrictions"][name]
    return document


def without_nulls(members: Mapping[str, object]) -> JsonObject:
    """Return the members that are present, times as they are written."""
    written: JsonObject = {}
    for name, value in members.items():
        if name == "mixins":
            if value is not None:
                written[name] = value
        elif isinstance(value, dict):
            written[name] = without_nulls(value)
        elif value is not None:
            written[name] = format_time(value) if isinstance(value, datetime) else value
    return written


def attributes_by_path() -> dict[str, str]:
    """Return the name of each field's attribute, by the field's path on the wire."""
    return {
        f"{path}{wire}": name
        for path, kind in (("", CouponBody), ("restrictions.", Restrictions))
        for wire, name in zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    }
