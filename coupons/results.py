"""What the coupon service answers, apart from the documents that are stored."""

from typing import Annotated

import msgspec
from msgspec import Meta

from core.bodies import (
    Body,
    Instant,
)
from coupons.money import Amount, Money


class ReservationLocation(Body):
    """A reservation that was made."""

    id: Annotated[str, Meta(description="The id of the reservation.")]
    expires_at: Annotated[
        Instant, Meta(description="From this instant on it counts for nothing, unless it is confirmed.")
    ]


class ResourceLocation(Body):
    """Where what was created is found."""

    id: Annotated[str, Meta(description="The code of a coupon, the id of a redemption.")]


class EligibleItem(Body):
    """A line that a coupon applies to."""

    id: Annotated[str, Meta(description="The id of the product.")]
    amount: Annotated[Amount, Meta(description="What the line costs.")]


class CouponVerdict(Body):
    """What a coupon that can be redeemed grants, in the order's currency."""

    eligible_amount: Annotated[
        Amount, Meta(description="The sum of the eligible items; the order's total without items.")
    ]
    discount: Annotated[Amount, Meta(description="What the coupon grants.")]
    eligible_items: (
        Annotated[list[EligibleItem], Meta(description="The items that it applies to; absent without items.")]
        | None
    ) = None


class RefusalOfCode(Body):
    """Why a code of a cart is refused."""

    type: Annotated[str, Meta(description="The type of the reason; stable.")]
    message: Annotated[str, Meta(description="The reason in a sentence.")]
    remedy: Annotated[str, Meta(description="What would remove it; absent when nothing would.")] | None = None
    missing_amount: (
        Annotated[Amount, Meta(description="How much more the cart would have to cost.")] | None
    ) = None


class CodeOfCart(Body):
    """What a code does for a cart."""

    code: Annotated[str, Meta(description="The code as it is stored.")]
    accepted: Annotated[bool, Meta(description="Whether its coupon is applied.")]
    discount: Annotated[Amount, Meta(description="What it takes off.")]
    reasons: Annotated[
        list[RefusalOfCode] | None, Meta(description="All reasons against it; absent when it is accepted.")
    ] = None


class DiscountedLine(Body):
    """A line of a cart, and what the coupons take off it."""

    id: Annotated[str, Meta(description="The id of the product.")]
    amount: Annotated[Amount, Meta(description="What the line costs.")]
    discount: Annotated[Amount, Meta(description="What is taken off.")]
    total: Annotated[Amount, Meta(description="What is left to pay.")]


class DiscountedShipping(Body):
    """What shipping costs, and what the coupons take off it."""

    amount: Annotated[Amount, Meta(description="What shipping costs.")]
    discount: Annotated[Amount, Meta(description="What is taken off.")]
    total: Annotated[Amount, Meta(description="What is left to pay.")]


class CartTotals(Body):
    """What the cart costs."""

    items: Annotated[Amount, Meta(description="The sum of the lines.")]
    shipping: Annotated[Amount, Meta(description="What shipping costs.")]
    discount: Annotated[Amount, Meta(description="What all coupons take off together.")]
    total: Annotated[Amount, Meta(description="What is left to pay.")]


class CodeSuggestion(Body):
    """The codes that together take most off the cart."""

    codes: Annotated[list[str], Meta(description="The codes, in the order to send them.")]
    discount: Annotated[Amount, Meta(description="What they take off together.")]


class CartVerdict(Body):
    """What the codes of a cart do, in its currency."""

    currency: Annotated[str, Meta(description="The currency of all amounts.")]
    coupons: Annotated[list[CodeOfCart], Meta(description="Each code, in the order given.")]
    items: Annotated[list[DiscountedLine], Meta(description="The lines, in the order given.")]
    shipping: Annotated[DiscountedShipping, Meta(description="The cost of shipping.")]
    totals: Annotated[CartTotals, Meta(description="The sums.")]
    suggestion: Annotated[
        CodeSuggestion | None, Meta(description="The best set of codes, if it was asked for.")
    ] = None


class CodeLocation(Body):
    """What a code of a cart has become."""

    code: Annotated[str, Meta(description="The coupon's code.")]
    id: Annotated[str, Meta(description="The id of its reservation or redemption.")]


class CartReservationLocation(Body):
    """A cart whose coupons are held."""

    id: Annotated[str, Meta(description="The id of the cart reservation.")]
    expires_at: Annotated[
        Instant, Meta(description="From this instant on it counts for nothing, unless it is confirmed.")
    ]
    reservations: Annotated[list[CodeLocation], Meta(description="The reservation of each coupon.")]


class CartRedemption(Body):
    """A cart whose coupons are redeemed."""

    redemptions: Annotated[list[CodeLocation], Meta(description="The redemption of each coupon.")]


class ReportLine(Body):
    """What became of coupons on a day, of a campaign or segment, in a currency."""

    day: Annotated[str, Meta(description="The day (UTC), as in 2026-03-04.")]
    issued: Annotated[int, Meta(description="How many coupons and codes were made.")]
    redeemed: Annotated[int, Meta(description="How many redemptions there are of that day.")]
    validated: Annotated[int, Meta(description="How often they were found valid.")] = 0
    refused: Annotated[int, Meta(description="How often they were refused.")] = 0
    refusals: Annotated[
        dict[str, int], Meta(description="How many refusals had each reason, by its type.")
    ] = {}
    id: Annotated[str, Meta(description="The id of the campaign or segment.")] | None = None
    discount: Annotated[
        Money | None,
        Meta(description="The sum of their discounts; absent where only issued or judged."),
    ] = None


class CouponReport(Body):
    """A report on coupons by day."""

    starts_on: Annotated[str, Meta(description="The first day.")] = msgspec.field(name="from")
    ends_on: Annotated[str, Meta(description="The last day.")] = msgspec.field(name="until")
    lines: Annotated[
        list[ReportLine], Meta(description="By day, group and currency; days without are left out.")
    ]
