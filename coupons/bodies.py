"""Reads the bodies of this service, and reports all that is wrong with one at once, each with its field.

Members that are null count as absent. Members that clients cannot write (`status`, `deleted`, ...) are
ignored, as clients send back what they read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from core.errors import InvalidBody, InvalidInput, MalformedBody
from core.timestamps import format_time, parse_time
from coupons.models import DiscountCalculation, DiscountType
from coupons.money import CURRENCY, FINEST, LARGEST_AMOUNT, Money
from coupons.operations import Revision
from coupons.orders import Order, OrderItem
from coupons.terms import CouponTerms

LONGEST_ID = 128
LONGEST_NAME = 300
LONGEST_TEXT = 10_000
LONGEST_ORDER_CODE = 255
MOST_CUSTOMERS = 10_000
MOST_SEGMENTS = 200
MOST_CATEGORIES = 1_000
MOST_ITEMS = 1_000
MOST_REDEMPTIONS = 2_147_483_647
UNLIMITED = -1

Problems = list[tuple[str, str, str]]


class Members:
    """The members of one JSON object. Faults go to `problems`, which all objects of a body share."""

    def __init__(self, body: Mapping[str, Any], problems: Problems, path: str = "") -> None:
        self.body = body
        self.problems = problems
        self.path = path

    def refuse(self, name: str, kind: str, message: str) -> None:
        self.problems.append((self.path + name, kind, message))

    def text(self, name: str, *, most: int, required: bool = False) -> str:
        value = self.body.get(name)
        if value is None:
            value = ""
        if not isinstance(value, str):
            self.refuse(name, "invalid_type", "This is a text.")
            return ""
        if len(value) > most:
            self.refuse(name, "too_long", f"This has at most {most} characters.")
        if required and not value.strip():
            self.refuse(name, "missing_value", "This is needed.")
        return value

    def flag(self, name: str) -> bool:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "invalid_type", "This is true or false.")
        return value is True

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self.body.get(name)
        if value is None:
            return default
        if value not in choices:
            self.refuse(name, "invalid_value", f"This is one of {', '.join(choices)}.")
            return default
        return value

    def limit(self, name: str) -> int | None:
        """Return a number of uses; -1 and an absent one are unlimited (None)."""
        value = self.body.get(name)
        if value is None or value == UNLIMITED:
            return None
        return self.whole_number(name, most=MOST_REDEMPTIONS)

    def whole_number(self, name: str, *, most: int) -> int | None:
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            self.refuse(name, "invalid_type", "This is a whole number.")
            return None
        if not 0 <= value <= most:
            self.refuse(name, "invalid_value", f"This lies between 0 and {most}.")
            return None
        return int(value)

    def decimal(self, name: str, *, most: Decimal, default: Decimal | None = None) -> Decimal | None:
        """Return a number from 0 to `most`, exactly as it was written, to six decimal places."""
        value = self.body.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            self.refuse(name, "invalid_type", "This is a number.")
            return default
        # repr writes the shortest text that means the same float, which is what the client wrote
        exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not 0 <= exact <= most:
            self.refuse(name, "invalid_value", f"This lies between 0 and {most}.")
            return default
        return exact.quantize(FINEST, rounding=ROUND_HALF_UP)

    def object(self, name: str) -> Mapping[str, Any] | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, Mapping):
            self.refuse(name, "invalid_type", "This is an object.")
            return None
        return value

    def texts(self, name: str) -> Mapping[str, Any]:
        """Return an object whose members are all texts; an absent one is empty."""
        value = self.object(name) or {}
        for member, text in value.items():
            if not isinstance(text, str):
                self.refuse(f"{name}.{member}", "invalid_type", "This is a text.")
        return value

    def members(self, name: str) -> "Members":
        """Return the members of an object within this one; an absent one has none."""
        return Members(self.object(name) or {}, self.problems, f"{self.path}{name}.")

    def money(self, name: str, *, required: bool = False) -> Money | None:
        """Return an amount and its currency; the published defaults are 0 and USD."""
        if self.object(name) is None:
            if required and self.body.get(name) is None:
                self.refuse(name, "missing_value", "This is needed.")
            return None
        inner = self.members(name)
        amount = inner.decimal("amount", most=LARGEST_AMOUNT, default=Decimal(0))
        currency = inner.body.get("currency")
        if currency is None:
            currency = "USD"
        if not isinstance(currency, str) or not CURRENCY.fullmatch(currency):
            inner.refuse("currency", "invalid_value", "A currency has three upper-case letters.")
            return None
        return None if amount is None else Money(amount, currency)

    def time(self, name: str) -> datetime | None:
        value = self.body.get(name)
        if value is None:
            return None
        try:
            return parse_time(value, field=self.path + name)
        except InvalidInput as error:
            self.refuse(name, "invalid_value", error.message)
            return None

    def list(self, name: str, *, most: int) -> Sequence[Any]:
        value = self.body.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.refuse(name, "invalid_type", "This is a list.")
            return ()
        if len(value) > most:
            self.refuse(name, "too_long", f"This has at most {most} entries.")
            return ()
        return value

    def ids(self, name: str, *, most: int) -> tuple[str, ...]:
        """Return ids in the order given, each once; empty texts are left out."""
        found: dict[str, None] = {}
        for index, value in enumerate(self.list(name, most=most)):
            if not isinstance(value, str) or len(value) > LONGEST_ID:
                self.refuse(
                    f"{name}[{index}]", "invalid_value", f"An id has at most {LONGEST_ID} characters."
                )
            elif value.strip():
                found[value.strip()] = None
        return tuple(found)


@dataclass(frozen=True, slots=True)
class CouponBody:
    """A coupon as a client wrote it. `code` is empty when it wants a generated one."""

    code: str
    terms: CouponTerms
    version: int | None

    @property
    def revision(self) -> Revision:
        return Revision(self.terms, self.version)


@dataclass(frozen=True, slots=True)
class RedemptionBody:
    """What a client wants to use a coupon for, and for whom."""

    customer_number: str
    legal_entity_id: str
    order: Order


def read_object(body: object) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise MalformedBody("The body is a JSON object.")
    return body


def read_coupon_body(body: object) -> CouponBody:
    """Return the coupon of a body; raise InvalidBody with all faults of shape. Rules are not looked at."""
    problems: Problems = []
    members = Members(read_object(body), problems)
    restrictions, metadata = members.members("restrictions"), members.members("metadata")
    terms = CouponTerms(
        name=members.text("name", most=LONGEST_NAME, required=True),
        description=members.text("description", most=LONGEST_TEXT),
        discount_type=members.choice("discountType", DiscountType.values, DiscountType.ABSOLUTE.value),
        discount_percentage=members.decimal("discountPercentage", most=Decimal(100)),
        discount_absolute=members.money("discountAbsolute"),
        discount_calculation_type=members.choice(
            "discountCalculationType", DiscountCalculation.values, DiscountCalculation.SUBTOTAL.value
        ),
        allows_anonymous=members.flag("allowAnonymous"),
        max_redemptions=members.limit("maxRedemptions"),
        max_redemptions_per_customer=members.limit("maxRedemptionsPerCustomer"),
        is_category_restricted=members.flag("categoryRestricted"),
        is_segment_restricted=members.flag("segmentRestricted"),
        valid_for=restrictions.ids("validFor", most=MOST_CUSTOMERS),
        valid_from=restrictions.time("validFrom"),
        valid_to=restrictions.time("validUntil"),
        min_order_value=restrictions.money("minOrderValue"),
        segments=restrictions.ids("segments", most=MOST_SEGMENTS),
        included_categories=restrictions.ids("includedCategories", most=MOST_CATEGORIES),
        excluded_categories=restrictions.ids("excludedCategories", most=MOST_CATEGORIES),
        issued_to=members.text("issuedTo", most=LONGEST_ID).strip(),
        mixins=members.object("mixins") or {},
        mixin_schemas=metadata.texts("mixins"),
    )
    code = members.text("code", most=LONGEST_TEXT)
    version = metadata.whole_number("version", most=MOST_REDEMPTIONS)
    if problems:
        raise InvalidBody(problems)
    return CouponBody(code, terms, version)


def wire_document(terms: CouponTerms, version: int) -> dict[str, Any]:
    """Return the terms as a client writes them, for patches to change."""
    document = {
        "name": terms.name,
        "description": terms.description or None,
        "discountType": terms.discount_type,
        "discountPercentage": terms.discount_percentage,
        "discountAbsolute": wire_money(terms.discount_absolute),
        "discountCalculationType": terms.discount_calculation_type,
        "allowAnonymous": terms.allows_anonymous,
        "maxRedemptions": UNLIMITED if terms.max_redemptions is None else terms.max_redemptions,
        "maxRedemptionsPerCustomer": UNLIMITED
        if terms.max_redemptions_per_customer is None
        else terms.max_redemptions_per_customer,
        "categoryRestricted": terms.is_category_restricted,
        "segmentRestricted": terms.is_segment_restricted,
        "restrictions": present(
            {
                "validFor": list(terms.valid_for),
                "validFrom": wire_time(terms.valid_from),
                "validUntil": wire_time(terms.valid_to),
                "minOrderValue": wire_money(terms.min_order_value),
                "segments": list(terms.segments) or None,
                "includedCategories": list(terms.included_categories) or None,
                "excludedCategories": list(terms.excluded_categories) or None,
            }
        ),
        "issuedTo": terms.issued_to or None,
        "mixins": dict(terms.mixins) or None,
        "metadata": present({"version": version, "mixins": dict(terms.mixin_schemas) or None}),
    }
    return present(document)


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def wire_money(money: Money | None) -> dict[str, Any] | None:
    return {"amount": money.amount, "currency": money.currency} if money else None


def wire_time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None


def read_redemption_body(body: object, *, is_validation: bool = False) -> RedemptionBody:
    """Return what a redemption's or validation's body says; raise InvalidBody with all faults.

    The discount is needed but for a validation with items, which is how a shop learns it.
    """
    problems: Problems = []
    members = Members(read_object(body), problems)
    has_items = members.body.get("items") is not None
    total = members.money("orderTotal", required=True)
    discount = members.money("discount", required=not (is_validation and has_items))
    items = tuple(
        read_item(entry, problems, f"items[{index}]")
        for index, entry in enumerate(members.list("items", most=MOST_ITEMS))
    )
    customer_number = members.text("customerNumber", most=LONGEST_ID).strip()
    legal_entity_id = members.text("legalEntityId", most=LONGEST_ID).strip()
    order_code = members.text("orderCode", most=LONGEST_ORDER_CODE).strip()
    if problems or total is None:
        raise InvalidBody(problems)
    order = Order(total, discount, items if has_items else None, order_code)
    return RedemptionBody(customer_number, legal_entity_id, order)


def read_item(entry: object, problems: Problems, path: str) -> OrderItem:
    if not isinstance(entry, Mapping):
        problems.append((path, "invalid_type", "An item is an object with id and amount."))
        return OrderItem("", Decimal(0))
    members = Members(entry, problems, f"{path}.")
    product_id = members.text("id", most=LONGEST_ID, required=True)
    if members.body.get("amount") is None:
        members.refuse("amount", "missing_value", "This is needed.")
    amount = members.decimal("amount", most=LARGEST_AMOUNT, default=Decimal(0))
    quantity = members.decimal("quantity", most=LARGEST_AMOUNT, default=Decimal(1))
    return OrderItem(product_id, amount or Decimal(0), quantity or Decimal(1))
