"""Who wants to use a coupon, and for what."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Self

from msgspec import Meta, Struct, field

from accounts.identity.scopes import COUPON_REDEEM_ON_BEHALF
from core.bodies import MESSAGE, Body, OptionalReference, Reference
from core.errors import MissingScope, NotAllowed
from core.tenancy.callers import Caller
from coupons.models.settings import MOST_CODES
from coupons.money import CURRENCY, Amount, Money, round_to_minor_unit
from segments.customer_context import Shopper, shopper_of

LONGEST_ORDER_CODE = 255
MOST_ITEMS = 1_000


class OrderItem(Struct, frozen=True):
    """A line of an order."""

    id: Annotated[Reference, Meta(description="The id of a product.")]
    amount: Annotated[Amount, Meta(description="What the whole line costs, in the order's currency.")]
    quantity: Annotated[Amount, Meta(description="How many are bought; 1 when absent.")] = field(
        default_factory=lambda: Amount(1)
    )


class Order(Body):
    """What is bought. `discount` is what the shop deducted; without `items` (None) the total counts."""

    order_total: Annotated[Money, Meta(description="The amount of the purchase.")]
    discount: Annotated[Money | None, Meta(description="The discount that the shop grants.")] = None
    items: (
        Annotated[
            list[OrderItem],
            Meta(
                max_length=MOST_ITEMS,
                description="The order's lines. With them only eligible lines are discounted.",
            ),
        ]
        | None
    ) = None
    order_code: Annotated[
        str,
        Meta(
            max_length=LONGEST_ORDER_CODE,
            description="The code of the order. Repeating it returns the first redemption.",
        ),
    ] = ""

    def __post_init__(self) -> None:
        self.order_code = self.order_code.strip()


MOST_LINES = 200
LONGEST_CODE_SENT = 1_000


class CartBody(Body):
    """A cart and the codes that are entered for it. All amounts are in its currency."""

    currency: Annotated[
        str,
        Meta(
            pattern=CURRENCY,
            description="The currency of the cart, by its ISO 4217 code.",
            extra={MESSAGE: "must be the three upper-case letters of a currency"},
        ),
    ]
    items: Annotated[list[OrderItem], Meta(max_length=MOST_LINES, description="The lines of the cart.")]
    shipping: Annotated[Amount, Meta(description="What shipping costs; 0 when absent.")] = field(
        default_factory=Amount
    )
    codes: Annotated[
        list[Annotated[str, Meta(max_length=LONGEST_CODE_SENT)]],
        Meta(max_length=MOST_CODES, description="The codes, in the order in which they are to be applied."),
    ] = []
    customer_number: Annotated[
        OptionalReference,
        Meta(description="The customer's id. Another than the caller needs coupon.coupon_redeem_on_behalf."),
    ] = ""
    legal_entity_id: Annotated[
        OptionalReference, Meta(description="The id of the legal entity that the customer acts for.")
    ] = ""

    def __post_init__(self) -> None:
        named = [("shipping", self.shipping)]
        named += [(f"items[{place}].amount", item.amount) for place, item in enumerate(self.items)]
        for name, amount in named:
            if amount != round_to_minor_unit(amount, self.currency):
                raise ValueError(
                    f"{name} cannot be paid in {self.currency}: it is finer than its minor unit."
                )

    @property
    def total(self) -> Amount:
        """What the lines cost, without shipping and before any discount."""
        return Amount(sum((item.amount for item in self.items), Decimal(0)))

    def as_order(self, discount: Money | None = None) -> Order:
        """Return the cart as the order that a coupon is judged for."""
        return Order(order_total=Money(self.total, self.currency), discount=discount, items=self.items)


def customer_asked_for(caller: Caller, named: str) -> str:
    """Return the id of a request's customer: the one that it names, else the caller; empty for nobody known.

    Raises MissingScope when another customer than the caller is named without the scope for it.
    """
    own = caller.customer.external_id if caller.customer else ""
    if named and named != own and COUPON_REDEEM_ON_BEHALF not in caller.scopes:
        raise MissingScope((COUPON_REDEEM_ON_BEHALF,))
    return named or own


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys: a customer, by number and perhaps for a legal entity, or nobody known (an empty number)."""

    shopper: Shopper
    customer_number: str = ""

    @classmethod
    def asked_for(cls, caller: Caller, *, customer_number: str = "", legal_entity_id: str = "") -> Self:
        """Return the customer that a request names, or else the caller.

        Raises MissingScope as `customer_asked_for` does, and NotAllowed when there is no customer, but a
        legal entity.
        """
        number = customer_asked_for(caller, customer_number)
        if number and (caller.customer is None or number != caller.customer.external_id):
            return cls.named(caller.tenant.id, number, legal_entity_id=legal_entity_id)
        if caller.customer is None:
            return cls.anonymous(caller.tenant.id, legal_entity_id=legal_entity_id)
        return cls(shopper_of(caller, legal_entity_id=legal_entity_id), number)

    @classmethod
    def named(cls, tenant_id: int, customer_number: str, *, legal_entity_id: str = "") -> Self:
        """Return a customer that somebody else names, and that may not exist."""
        return cls(
            Shopper(tenant_id, customer_number=customer_number, named_legal_entity=legal_entity_id),
            customer_number,
        )

    @classmethod
    def anonymous(cls, tenant_id: int, *, legal_entity_id: str = "") -> Self:
        if legal_entity_id:
            raise NotAllowed("Without a customer nobody acts for a legal entity.")
        return cls(Shopper(tenant_id))
