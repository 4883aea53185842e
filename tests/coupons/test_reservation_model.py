"""Reservations, carts, redemptions and a clock that goes on, against the model in plain Python."""

from datetime import UTC, datetime, timedelta

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DomainError
from coupons.errors import CartNotRedeemable, CouponNotFound, CouponNotRedeemable
from coupons.models import Coupon, Redemption, Reservation
from coupons.money import Amount, Money
from coupons.operations import (
    confirm_cart,
    confirm_reservation,
    delete_redemption,
    redeem_coupon,
    release_cart,
    release_reservation,
    reserve_cart,
    reserve_coupon,
)
from coupons.orders import Buyer as Named
from coupons.orders import CartBody, Order, OrderItem
from tests.coupons.reservation_model import Buyer, Shop
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    TenantFactory,
)
from tests.factories.coupons import CouponFactory

START = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
CODES = ("A", "B", "C", "D", "E", "F")
ORDERS = ("", "O1", "O2")
ENTITIES = ("L1", "L2")
# A contact of two companies, who acts for either or for none, and somebody who is of none.
BUYERS = (Buyer("C1"), Buyer("C1", "L1"), Buyer("C1", "L2"), Buyer("C2"))
most_uses = st.sampled_from([None, None, 1, 2, 3])
most_of_each = st.sampled_from([None, 1, 2])
limits = st.tuples(most_uses, most_of_each)
places = st.integers(0, 30)
buyers = st.sampled_from([*BUYERS, BUYERS[0]])
carts = st.lists(st.sampled_from("AABBCDEF"), min_size=1, max_size=3, unique=True).map(tuple)
seconds_held = st.sampled_from([1, 10, 60])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([1, 9, 10, 60])),
        st.tuples(
            st.just("reserve"),
            st.sampled_from([*CODES, "A", "A", "B"]),
            buyers,
            st.sampled_from(ORDERS),
            seconds_held,
        ),
        st.tuples(st.just("reserve cart"), carts, buyers, seconds_held),
        st.tuples(st.just("confirm"), places, st.sampled_from(ORDERS)),
        st.tuples(st.just("confirm"), places, st.sampled_from(ORDERS)),
        st.tuples(st.just("release"), places),
        st.tuples(st.just("redeem"), st.sampled_from("AAB"), buyers, st.sampled_from(ORDERS)),
        st.tuples(st.just("take back"), places, st.sampled_from("AAB")),
        st.tuples(st.just("limit"), st.sampled_from("AB"), limits),
        st.tuples(st.just("close"), st.sampled_from("AB")),
        st.tuples(st.just("delete"), st.sampled_from("AB")),
    ),
    min_size=5,
    max_size=25,
)


class Database:
    """The same steps by the operations. Rows are known by the step that made them and by their coupon."""

    def __init__(self, tenant_id: int) -> None:
        self.tenant_id = tenant_id
        self.ids: dict[tuple[int, str], str] = {}
        self.carts: dict[int, str] = {}
        self.singles: dict[int, str] = {}

    def result(self, operation, **arguments):
        """What an operation returned, the reasons by code, or the error's code."""
        try:
            with transaction.atomic():
                return operation(tenant_id=self.tenant_id, **arguments)
        except CartNotRedeemable as refused:
            return {code: types_of(reasons) for code, reasons in refused.reasons.items()}
        except CouponNotRedeemable as refused:
            return {arguments["code"]: types_of(refused.reasons)}
        except CouponNotFound:
            return {arguments["code"]: frozenset({"coupon_not_found"})}
        except DomainError as refused:
            return refused.code

    def known(self, number, found):
        """Replace the ids of what a step made or found by their keys."""
        if not isinstance(found, dict) or any(isinstance(one, frozenset) for one in found.values()):
            return found
        for code, id in found.items():
            if id not in self.ids.values():
                self.ids[number, code] = id
        keys = {id: key for key, id in self.ids.items()}
        return {code: keys[id] for code, id in found.items()}

    def use(self, number, operation, code, buyer, order, **options):
        self.singles[number] = code
        found = self.result(
            operation,
            code=code,
            buyer=named(self.tenant_id, buyer),
            order=Order(
                order_total=Money(Amount(100), "EUR"), discount=Money(Amount(10), "EUR"), order_code=order
            ),
            **options,
        )
        return self.known(number, found if isinstance(found, dict | str) else {code: found.id})

    def reserve_cart(self, number, codes, buyer, **options):
        body = CartBody(currency="EUR", items=[OrderItem("P1", Amount(100))], codes=list(codes))
        found = self.result(reserve_cart, body=body, buyer=named(self.tenant_id, buyer), **options)
        if isinstance(found, dict | str):
            return found
        self.carts[number] = found.id
        return self.known(number, found.reservations)

    def confirm(self, number, place, order, at):
        if place in self.carts:
            found = self.result(confirm_cart, cart_id=self.carts[place], order_code=order, at=at)
            if isinstance(found, dict):
                found = {code: getattr(one, "id", one) for code, one in found.items()}
            return self.known(number, found)
        code = self.singles.get(place, "A")
        found = self.result(
            confirm_reservation,
            code=code,
            reservation_id=self.ids.get((place, code), "unknown"),
            order_code=order,
            at=at,
        )
        return self.known(number, found if isinstance(found, dict | str) else {code: found.id})

    def release(self, place, at):
        if place in self.carts:
            return self.result(release_cart, cart_id=self.carts[place], at=at) or "done"
        code = self.singles.get(place, "A")
        id = self.ids.get((place, code), "unknown")
        return self.result(release_reservation, code=code, reservation_id=id, at=at) or "done"

    def take_back(self, key):
        id = self.ids.get(key, "unknown")
        return self.result(delete_redemption, code=key[1], redemption_id=id) or "done"


def types_of(reasons):
    return frozenset(reason.type.value for reason in reasons)


def named(tenant_id, buyer):
    return Named.named(tenant_id, buyer.number, legal_entity_id=buyer.entity)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(coupon_limits=st.lists(limits, min_size=6, max_size=6), steps=steps)
def test_operations_do_what_the_model_does(db, coupon_limits, steps):
    with transaction.atomic():
        run(coupon_limits, steps)
        transaction.set_rollback(True)


def make_shop(limits):
    tenant = TenantFactory()
    customers = {name: CustomerFactory(tenant=tenant, external_id=name) for name in ("C1", "C2")}
    for name in ENTITIES:
        entity = LegalEntityFactory(tenant=tenant, external_id=name)
        ContactAssignmentFactory(customer=customers["C1"], legal_entity=entity)
    for code, (most, most_each) in limits.items():
        CouponFactory(tenant=tenant, code=code, max_redemptions=most, max_redemptions_per_customer=most_each)
    return tenant


def run(coupon_limits, steps):
    limits = dict(zip(CODES, coupon_limits, strict=True))
    tenant = make_shop(limits)
    stored = Coupon.objects.filter(tenant=tenant)
    shop, database, seconds = Shop(limits), Database(tenant.pk), 0
    for number, (step, *facts) in enumerate(steps):
        at = START + timedelta(seconds=seconds)
        match step, facts:
            case "wait", [more]:
                seconds += more
                continue
            case "close", [code]:
                shop.closed.add(code)
                stored.filter(code=code).update(valid_to=START - timedelta(1))
                continue
            case "delete", [code]:
                shop.deleted.add(code)
                stored.filter(code=code).update(is_deleted=True)
                continue
            case "limit", [code, (most, most_each)]:
                shop.limits[code] = (most, most_each)
                stored.filter(code=code).update(max_redemptions=most, max_redemptions_per_customer=most_each)
                continue
            case "reserve", [code, buyer, order, ttl]:
                expected = shop.reserve(number, (code,), buyer, order, ttl, seconds, is_cart=False)
                found = database.use(number, reserve_coupon, code, buyer, order, seconds=ttl, at=at)
            case "reserve cart", [codes, buyer, ttl]:
                expected = shop.reserve(number, codes, buyer, "", ttl, seconds, is_cart=True)
                found = database.reserve_cart(number, codes, buyer, seconds=ttl, at=at)
            case "redeem", [code, buyer, order]:
                expected = shop.redeem(number, code, buyer, order, seconds)
                found = database.use(number, redeem_coupon, code, buyer, order, at=at)
            case "confirm", [place, order]:
                expected = shop.confirm(place, number, order, seconds)
                found = database.confirm(number, place, order, at)
            case "release", [place]:
                expected = shop.release(place)
                found = database.release(place, at)
            case "take back", [place, code]:
                expected = shop.take_back((place, code))
                found = database.take_back((place, code))
        assert found == expected, (number, step, facts)
    at = START + timedelta(seconds=seconds)
    for code in CODES:
        rows = Redemption.objects.filter(tenant=tenant, coupon__code=code).count()
        live = Reservation.objects.filter(tenant=tenant, coupon__code=code).live_at(at).count()
        assert rows == stored.get(code=code).redemption_count
        assert rows == sum(one.coupon == code for one in shop.redeemed.values())
        assert live == len(shop.live(seconds, coupon=code))
