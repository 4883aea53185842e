"""Who wants to use a coupon, and for what."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from core.errors import NotAllowed
from core.tenancy.callers import Caller
from coupons.money import Money
from segments.customer_context import Shopper, shopper_of


@dataclass(frozen=True, slots=True)
class OrderItem:
    """A line of an order: a product by its wire id, and what the whole line costs in the order's currency."""

    id: str
    amount: Decimal
    quantity: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Order:
    """What is bought. `discount` is what the shop took off; without `items` (None) the total counts."""

    total: Money
    discount: Money | None = None
    items: tuple[OrderItem, ...] | None = None
    code: str = ""


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
        """Return a customer whom somebody else names, who may turn out not to exist."""
        return cls(
            Shopper(tenant_id, customer_number=customer_number, named_legal_entity=legal_entity_id),
            customer_number,
        )

    @classmethod
    def anonymous(cls, tenant_id: int, *, legal_entity_id: str = "") -> Self:
        if legal_entity_id:
            raise NotAllowed("Without a customer nobody acts for a legal entity.")
        return cls(Shopper(tenant_id))
