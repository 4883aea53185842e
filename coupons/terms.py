"""What staff decide about a coupon, and the rules that hold among it (no database needed)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from coupons.errors import InvalidTerms, Problem
from coupons.models import DiscountCalculation, DiscountType
from coupons.money import CURRENCY, LARGEST_AMOUNT, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponTerms:
    """Everything about a coupon but its code and its use.

    None means unlimited for the two limits, open for an end of the window, absent otherwise. Segments and
    categories are named by their wire ids; `valid_for` and `issued_to` hold customer numbers, which need
    not exist yet.
    """

    name: str
    description: str = ""
    discount_type: str = DiscountType.ABSOLUTE.value
    discount_percentage: Decimal | None = None
    discount_absolute: Money | None = None
    discount_calculation_type: str = DiscountCalculation.SUBTOTAL.value
    allows_anonymous: bool = False
    max_redemptions: int | None = None
    max_redemptions_per_customer: int | None = None
    is_category_restricted: bool = False
    is_segment_restricted: bool = False
    valid_for: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    min_order_value: Money | None = None
    segments: tuple[str, ...] = ()
    included_categories: tuple[str, ...] = ()
    excluded_categories: tuple[str, ...] = ()
    issued_to: str = ""
    mixins: Mapping[str, Any] = field(default_factory=dict)
    mixin_schemas: Mapping[str, Any] = field(default_factory=dict)


def check_terms(terms: CouponTerms) -> None:
    """Raise InvalidTerms with everything that is wrong; the existence of what is named is not looked at."""
    if problems := list(problems_of(terms)):
        raise InvalidTerms(problems)


def problems_of(terms: CouponTerms) -> Iterator[Problem]:
    """Yield each rule that the terms break, with the field that breaks it."""
    if not terms.name:
        yield Problem("name", "missing_value", "A coupon needs a name.")
    if terms.valid_from and terms.valid_to and terms.valid_from > terms.valid_to:
        yield Problem("valid_to", "invalid_value", "The coupon must not end before it starts.")
    yield from discount_problems(terms)
    yield from segment_problems(terms)
    yield from category_problems(terms)
    yield from anonymous_problems(terms)


def discount_problems(terms: CouponTerms) -> Iterator[Problem]:
    match terms.discount_type:
        case DiscountType.PERCENT if terms.discount_percentage is None:
            yield Problem("discount_percentage", "missing_value", "A PERCENT coupon needs a percentage.")
        case DiscountType.ABSOLUTE if terms.discount_absolute is None:
            yield Problem(
                "discount_absolute", "missing_value", "An ABSOLUTE coupon needs an amount and its currency."
            )
        case DiscountType.FREE_SHIPPING if terms.is_category_restricted:
            yield Problem(
                "is_category_restricted",
                "invalid_value",
                "A FREE_SHIPPING coupon cannot be restricted to categories.",
            )
    for name in ("discount_absolute", "min_order_value"):
        if (money := getattr(terms, name)) is not None:
            yield from money_problems(name, money)
    percentage = terms.discount_percentage
    if percentage is not None and not 0 <= percentage <= 100:
        yield Problem("discount_percentage", "invalid_value", "A percentage lies between 0 and 100.")


def money_problems(name: str, money: Money) -> Iterator[Problem]:
    if not 0 <= money.amount <= LARGEST_AMOUNT:
        yield Problem(name, "invalid_value", f"An amount lies between 0 and {LARGEST_AMOUNT:,}.")
    if not CURRENCY.fullmatch(money.currency):
        yield Problem(name, "invalid_value", "A currency has three upper-case letters.")


def segment_problems(terms: CouponTerms) -> Iterator[Problem]:
    if not terms.is_segment_restricted:
        if terms.segments:
            yield Problem(
                "segments", "invalid_value", "Segments can be named only for a segment-restricted coupon."
            )
        return
    if not terms.segments:
        yield Problem("segments", "missing_value", "A segment-restricted coupon needs a segment.")
    if terms.is_category_restricted:
        yield Problem(
            "is_category_restricted",
            "invalid_value",
            "A segment-restricted coupon cannot be restricted to categories too.",
        )
    if terms.valid_for:
        yield Problem(
            "valid_for",
            "invalid_value",
            "A segment-restricted coupon cannot be restricted to single customers too.",
        )
    if terms.allows_anonymous:
        yield Problem(
            "allows_anonymous",
            "invalid_value",
            "A segment-restricted coupon cannot be for anonymous customers: they belong to no segment.",
        )


def category_problems(terms: CouponTerms) -> Iterator[Problem]:
    if not terms.is_category_restricted:
        for name in ("included_categories", "excluded_categories"):
            if getattr(terms, name):
                yield Problem(
                    name, "invalid_value", "Categories can be named only for a category-restricted coupon."
                )
        return
    if not terms.included_categories and not terms.excluded_categories:
        yield Problem(
            "included_categories",
            "missing_value",
            "A category-restricted coupon needs included or excluded categories.",
        )
    if both := sorted(set(terms.included_categories) & set(terms.excluded_categories)):
        yield Problem(
            "excluded_categories",
            "invalid_value",
            f"Categories cannot be both included and excluded: {', '.join(both)}.",
        )


def anonymous_problems(terms: CouponTerms) -> Iterator[Problem]:
    if not terms.allows_anonymous:
        return
    if terms.max_redemptions_per_customer is not None:
        yield Problem(
            "max_redemptions_per_customer",
            "invalid_value",
            "Uses of anonymous customers cannot be limited for each customer.",
        )
    if terms.valid_for:
        yield Problem(
            "valid_for",
            "invalid_value",
            "A coupon for anonymous customers cannot be restricted to single customers.",
        )


def columns_of(terms: CouponTerms) -> dict[str, Any]:
    """Return the terms as columns of the coupon's row; segments and categories have tables of their own."""
    discount, minimum = terms.discount_absolute, terms.min_order_value
    return {
        "name": terms.name,
        "description": terms.description,
        "discount_type": terms.discount_type,
        "discount_percentage": terms.discount_percentage,
        "discount_amount": discount.amount if discount else None,
        "discount_currency": discount.currency if discount else None,
        "discount_calculation_type": terms.discount_calculation_type,
        "allows_anonymous": terms.allows_anonymous,
        "max_redemptions": terms.max_redemptions,
        "max_redemptions_per_customer": terms.max_redemptions_per_customer,
        "is_category_restricted": terms.is_category_restricted,
        "is_segment_restricted": terms.is_segment_restricted,
        "valid_for": list(terms.valid_for),
        "valid_from": terms.valid_from,
        "valid_to": terms.valid_to,
        "min_order_amount": minimum.amount if minimum else None,
        "min_order_currency": minimum.currency if minimum else None,
        "issued_to": terms.issued_to,
        "mixins": dict(terms.mixins),
        "mixin_schemas": dict(terms.mixin_schemas),
    }
