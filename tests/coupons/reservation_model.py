"""What limits, reservations, carts and the clock do, in plain Python, as decisions 31 to 35 say it.

Written before the statements, and sharing no code with them. Instants are whole seconds. Everything is known
by the number of the step that made it and by its coupon: a step with a cart makes something for each.
"""

from dataclasses import dataclass, field

LONGEST = 900
MOST_OF_CUSTOMER = 5
Key = tuple[int, str]
Refused = dict[str, frozenset[str]]


@dataclass(frozen=True)
class Buyer:
    """A customer, and the legal entity that they act for, if any."""

    number: str
    entity: str = ""


@dataclass
class Held:
    """A reservation; `redemption` is what it became, `cart` the step that reserved its cart."""

    coupon: str
    buyer: Buyer
    ends: int
    order: str = ""
    cart: int | None = None
    gone: bool = False
    redemption: Key | None = None

    def lives(self, at: int) -> bool:
        return not self.gone and self.redemption is None and at < self.ends


@dataclass
class Redeemed:
    coupon: str
    buyer: Buyer
    order: str


@dataclass
class Shop:
    """Coupons with a limit in all and one for each customer (None: no limit), and what was done with them.

    A step gives the keys of what it made or found, by coupon; the reasons of each refused coupon; or an
    error's code.
    """

    limits: dict[str, tuple[int | None, int | None]]
    closed: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    held: dict[Key, Held] = field(default_factory=dict)
    redeemed: dict[Key, Redeemed] = field(default_factory=dict)

    def live(self, at: int, *, coupon: str = "", number: str = "") -> list[Held]:
        return [
            one
            for one in self.held.values()
            if one.lives(at) and coupon in ("", one.coupon) and number in ("", one.buyer.number)
        ]

    def reached(self, coupon: str, buyer: Buyer, live: list[Held]) -> set[str]:
        """The limits that one more use breaks, when these reservations count."""
        most, most_each = self.limits[coupon]
        counted = [one for one in self.redeemed.values() if one.coupon == coupon] + live
        reasons = set()
        if most is not None and len(counted) >= most:
            reasons.add("coupon_used_up")
        if most_each is not None and sum(one.buyer == buyer for one in counted) >= most_each:
            reasons.add("legal_entity_limit_reached" if buyer.entity else "customer_limit_reached")
        return reasons

    def refusals(self, coupon: str, buyer: Buyer, at: int, *, spared: str = "") -> frozenset[str]:
        """The reasons against one more use; live reservations of the customer `spared` do not count."""
        if coupon in self.deleted:
            return frozenset({"coupon_not_found"})
        live = [one for one in self.live(at, coupon=coupon) if one.buyer.number != spared]
        over = {"coupon_expired"} if coupon in self.closed else set()
        return frozenset(over | self.reached(coupon, buyer, live))

    def of_order(self, coupon: str, buyer: Buyer, order: str) -> Key | None:
        if not order:
            return None
        for key, one in self.redeemed.items():
            if (one.coupon, one.buyer, one.order) == (coupon, buyer, order):
                return key
        return None

    def redeem(self, number: int, coupon: str, buyer: Buyer, order: str, at: int) -> dict[str, Key] | Refused:
        earlier = self.of_order(coupon, buyer, order)
        if earlier is not None:
            return {coupon: earlier}
        if reasons := self.refusals(coupon, buyer, at):
            return {coupon: reasons}
        self.redeemed[number, coupon] = Redeemed(coupon, buyer, order)
        return {coupon: (number, coupon)}

    def reserve(
        self,
        number: int,
        coupons: tuple[str, ...],
        buyer: Buyer,
        order: str,
        seconds: int,
        at: int,
        *,
        is_cart: bool,
    ) -> dict[str, Key] | Refused | str:
        """All of the coupons or none; they take the place of the customer's own, each with its cart."""
        judged = {coupon: self.refusals(coupon, buyer, at, spared=buyer.number) for coupon in coupons}
        if refused := {coupon: reasons for coupon, reasons in judged.items() if reasons}:
            return refused
        live = self.live(at, number=buyer.number)
        carts = {one.cart for one in live if one.coupon in coupons} - {None}
        replaced = [one for one in live if one.coupon in coupons or one.cart in carts]
        if len(live) - len(replaced) + len(coupons) > MOST_OF_CUSTOMER:
            return "too_many_reservations"
        for one in replaced:
            one.gone = True
        ends, cart = at + min(seconds, LONGEST), number if is_cart else None
        for coupon in coupons:
            self.held[number, coupon] = Held(coupon, buyer, ends, order, cart)
        return {coupon: (number, coupon) for coupon in coupons}

    def of_step(self, number: int) -> list[Held]:
        return [one for (step, _), one in self.held.items() if step == number]

    def confirm(self, number: int, redemption: int, order: str, at: int) -> dict[str, Key] | Refused | str:
        """All reservations of that step or none."""
        found: dict[str, Key] = {}
        refused: Refused = {}
        new = []
        for one in (rows := self.of_step(number)):
            if one.gone or (one.redemption is not None and one.redemption not in self.redeemed):
                return "reservation_not_found"
            code = order or one.order
            earlier = one.redemption or self.of_order(one.coupon, one.buyer, code)
            if earlier is None:
                if one.lives(at):  # it holds its use, unless the limits were lowered
                    reasons = frozenset(self.reached(one.coupon, one.buyer, []))
                else:
                    reasons = self.refusals(one.coupon, one.buyer, at)
                if reasons:
                    refused[one.coupon] = reasons
                earlier = (redemption, one.coupon)
                new.append((earlier, Redeemed(one.coupon, one.buyer, code)))
            found[one.coupon] = earlier
        if refused:
            return refused
        if not rows:
            return "reservation_not_found"
        self.redeemed.update(new)
        for one in rows:
            one.redemption = found[one.coupon]
        return found

    def release(self, number: int) -> str:
        rows = self.of_step(number)
        for one in rows:
            if one.redemption is not None:
                return "reservation_confirmed"
            if one.gone:
                return "reservation_not_found"
        for one in rows:
            one.gone = True
        return "done" if rows else "reservation_not_found"

    def take_back(self, key: Key) -> str:
        return "done" if self.redeemed.pop(key, None) else "redemption_not_found"
