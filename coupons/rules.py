"""The rules among a coupon's own fields. No database is needed for them; every entry point applies them.

A problem names the field as it is on the wire.
"""

from collections.abc import Iterator

from core.errors import Problem
from core.text import has_visible_character
from coupons.bodies import UNLIMITED, CouponBody
from coupons.models import DiscountType
from coupons.money import CURRENCY_CODE, LARGEST_AMOUNT, Money


def problems_of(body: CouponBody) -> Iterator[Problem]:
    """Yield each rule that the coupon breaks."""
    limits = body.restrictions
    if not has_visible_character(body.name):
        yield Problem("name", "missing_value", "name needs a visible character.")
    if limits.valid_from and limits.valid_to and limits.valid_from > limits.valid_to:
        yield Problem("restrictions.validUntil", "invalid_value", "The coupon must not end before it starts.")
    if not all(map(has_visible_character, limits.valid_for)):
        yield Problem(
            "restrictions.validFor",
            "invalid_value",
            "restrictions.validFor names no customer; leave it out for a coupon for everybody.",
        )
    yield from discount_problems(body)
    yield from segment_problems(body)
    yield from category_problems(body)
    yield from anonymous_problems(body)


def discount_problems(body: CouponBody) -> Iterator[Problem]:
    match body.discount_type:
        case DiscountType.PERCENT if body.discount_percentage is None:
            yield Problem("discountPercentage", "missing_value", "A PERCENT coupon needs a percentage.")
        case DiscountType.ABSOLUTE if body.discount_absolute is None:
            yield Problem(
                "discountAbsolute", "missing_value", "An ABSOLUTE coupon needs an amount and its currency."
            )
        case DiscountType.FREE_SHIPPING if body.is_category_restricted:
            yield Problem(
                "categoryRestricted",
                "invalid_value",
                "A FREE_SHIPPING coupon cannot be restricted to categories.",
            )
    yield from money_problems("discountAbsolute", body.discount_absolute)
    yield from money_problems("restrictions.minOrderValue", body.restrictions.min_order_value)
    percentage = body.discount_percentage
    if percentage is not None and not 0 <= percentage <= 100:
        yield Problem("discountPercentage", "invalid_value", "A percentage is between 0 and 100.")


def money_problems(name: str, money: Money | None) -> Iterator[Problem]:
    if money is None:
        return
    if not 0 <= money.amount <= LARGEST_AMOUNT:
        yield Problem(name, "invalid_value", f"An amount is between 0 and {LARGEST_AMOUNT:,}.")
    if not CURRENCY_CODE.fullmatch(money.currency):
        yield Problem(name, "invalid_value", "A currency has three upper-case letters.")


def segment_problems(body: CouponBody) -> Iterator[Problem]:
    named = "restrictions.segments"
    if not body.is_segment_restricted:
        if body.restrictions.segments:
            yield Problem(
                named, "invalid_value", "Segments can be named only for a segment-restricted coupon."
            )
        return
    if not body.restrictions.segments:
        yield Problem(named, "missing_value", "A segment-restricted coupon needs a segment.")
    if body.is_category_restricted:
        yield Problem(
            "categoryRestricted",
            "invalid_value",
            "A segment-restricted coupon cannot be restricted to categories too.",
        )
    if body.restrictions.valid_for:
        yield Problem(
            "restrictions.validFor",
            "invalid_value",
            "A segment-restricted coupon cannot be restricted to single customers too.",
        )
    if body.allows_anonymous:
        yield Problem(
            "allowAnonymous",
            "invalid_value",
            "A segment-restricted coupon cannot be for anonymous customers: they belong to no segment.",
        )


def category_problems(body: CouponBody) -> Iterator[Problem]:
    named = {
        "restrictions.includedCategories": body.restrictions.included_categories,
        "restrictions.excludedCategories": body.restrictions.excluded_categories,
    }
    if not body.is_category_restricted:
        for name, categories in named.items():
            if categories:
                yield Problem(
                    name, "invalid_value", "Categories can be named only for a category-restricted coupon."
                )
        return
    if not any(named.values()):
        yield Problem(
            "restrictions.includedCategories",
            "missing_value",
            "A category-restricted coupon needs included or excluded categories.",
        )
    included, excluded = map(set, named.values())
    if both := sorted(included & excluded):
        yield Problem(
            "restrictions.excludedCategories",
            "invalid_value",
            f"Categories cannot be both included and excluded: {', '.join(both)}.",
        )


def anonymous_problems(body: CouponBody) -> Iterator[Problem]:
    if not body.allows_anonymous:
        return
    if body.max_redemptions_per_customer != UNLIMITED:
        yield Problem(
            "maxRedemptionsPerCustomer",
            "invalid_value",
            "Uses of anonymous customers cannot be limited for each customer.",
        )
    if body.restrictions.valid_for:
        yield Problem(
            "restrictions.validFor",
            "invalid_value",
            "A coupon for anonymous customers cannot be restricted to single customers.",
        )
