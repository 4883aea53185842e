"""What limits, reservations and the clock do, in plain Python, as the decisions on coupons say it.

Written before the statements, and sharing no code with them. Instants are whole seconds.
"""

from dataclasses import dataclass, field

LONGEST = 900
MOST_OF_CUSTOMER = 5


@dataclass
class Held:
    """A reservation; `redemption` is the number of the redemption that it became."""

    coupon: str
    customer: str
    ends: int
    order: str = ""
    gone: bool = False
    redemption: int | None = None

    def lives(self, at: int) -> bool:
        return not self.gone and self.redemption is None and at < self.ends


@dataclass
class Redeemed:
    coupon: str
    customer: str
    order: str


@dataclass
class Shop:
    """Coupons with a limit in all and one for each customer (None: no limit), and what was done with them."""

    limits: dict[str, tuple[int | None, int | None]]
    closed: set[str] = field(default_factory=set)
    held: dict[int, Held] = field(default_factory=dict)
    redeemed: dict[int, Redeemed] = field(default_factory=dict)

    def live(self, at: int, *, coupon: str = "", customer: str = "") -> list[Held]:
        return [
            one
            for one in self.held.values()
            if one.lives(at) and coupon in ("", one.coupon) and customer in ("", one.customer)
        ]

    def refusals(self, coupon: str, customer: str, at: int, *, spared: str = "") -> set[str]:
        """The reasons against one more use; live reservations of the customer `spared` do not count."""
        most, most_each = self.limits[coupon]
        live = [one for one in self.live(at, coupon=coupon) if one.customer != spared]
        past = [one for one in self.redeemed.values() if one.coupon == coupon]
        reasons = set()
        if coupon in self.closed:
            reasons.add("coupon_expired")
        if most is not None and len(past) + len(live) >= most:
            reasons.add("coupon_used_up")
        own = [one for one in [*past, *live] if one.customer == customer]
        if most_each is not None and len(own) >= most_each:
            reasons.add("customer_limit_reached")
        return reasons

    def of_order(self, coupon: str, customer: str, order: str) -> int | None:
        if not order:
            return None
        for number, one in self.redeemed.items():
            if (one.coupon, one.customer, one.order) == (coupon, customer, order):
                return number
        return None

    def redeem(self, number: int, coupon: str, customer: str, order: str, at: int) -> int | set[str]:
        """The number of the redemption, or the reasons against it."""
        earlier = self.of_order(coupon, customer, order)
        if earlier is not None:
            return earlier
        if reasons := self.refusals(coupon, customer, at):
            return reasons
        self.redeemed[number] = Redeemed(coupon, customer, order)
        return number

    def reserve(
        self, number: int, coupon: str, customer: str, order: str, seconds: int, at: int
    ) -> int | set[str] | str:
        if reasons := self.refusals(coupon, customer, at, spared=customer):
            return reasons
        replaced = self.live(at, coupon=coupon, customer=customer)
        if len(self.live(at, customer=customer)) - len(replaced) >= MOST_OF_CUSTOMER:
            return "too_many_reservations"
        for one in replaced:
            one.gone = True
        self.held[number] = Held(coupon, customer, at + min(seconds, LONGEST), order)
        return number

    def confirm(self, number: int, redemption: int, order: str, at: int) -> int | set[str] | str:
        one = self.held.get(number)
        if one is None or one.gone:
            return "reservation_not_found"
        if one.redemption is not None:
            return one.redemption if one.redemption in self.redeemed else "reservation_not_found"
        order = order or one.order
        earlier = self.of_order(one.coupon, one.customer, order)
        refused = set() if one.lives(at) else self.refusals(one.coupon, one.customer, at)
        if earlier is None and refused:
            return refused
        if earlier is None:
            self.redeemed[redemption] = Redeemed(one.coupon, one.customer, order)
            earlier = redemption
        one.redemption = earlier
        return earlier

    def release(self, number: int) -> str:
        one = self.held.get(number)
        if one is None or one.gone:
            return "reservation_not_found"
        if one.redemption is not None:
            return "reservation_confirmed"
        one.gone = True
        return "done"

    def take_back(self, number: int) -> str:
        return "done" if self.redeemed.pop(number, None) else "redemption_not_found"
