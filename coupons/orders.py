"""Who wants to use a coupon, and for what."""

from dataclasses import dataclass
from typing import Annotated, Self

from msgspec import Meta, Struct, field

from core.bodies import Body, Reference
from core.errors import NotAllowed
from core.tenancy.callers import Caller
from coupons.money import Amount, Money
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


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys: a customer, by number and perhaps for a legal entity, or nobody known (an empty number)."""

    shopper: Shopper
    customer_number: str = ""

    @classmethod
    def of_caller(cls, caller: Caller, *, legal_entity_id: str = "") -> Self:
        """Return the caller as a buyer.

        Raises NotAllowed when a caller without a customer names a legal entity.
        """
        if caller.customer is None:
            return cls.anonymous(caller.tenant.id, legal_entity_id=legal_entity_id)
        return cls(shopper_of(caller, legal_entity_id=legal_entity_id), caller.customer.external_id)

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
