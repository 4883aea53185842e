"""Reservations, redemptions and a clock that goes on, against the model in plain Python."""

from datetime import UTC, datetime, timedelta

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DomainError
from coupons.errors import CouponNotRedeemable
from coupons.models import Coupon, Redemption, Reservation
from coupons.money import Amount, Money
from coupons.operations import (
    confirm_reservation,
    delete_redemption,
    redeem_coupon,
    release_reservation,
    reserve_coupon,
)
from coupons.orders import Buyer, Order
from tests.coupons.reservation_model import Shop
from tests.factories.accounts import CustomerFactory, TenantFactory
from tests.factories.coupons import CouponFactory

START = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
CODES = ("A", "B", "C", "D", "E", "F")
CUSTOMERS = ("C1", "C2")
ORDERS = ("", "O1", "O2")
limits = st.tuples(st.sampled_from([None, None, 1, 2, 3]), st.sampled_from([None, 1, 2]))
places = st.integers(0, 30)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([1, 9, 10, 60])),
        st.tuples(
            st.just("reserve"),
            st.sampled_from([*CODES, "A", "A", "B"]),
            st.sampled_from(CUSTOMERS),
            st.sampled_from(ORDERS),
            st.sampled_from([1, 10, 60]),
        ),
        st.tuples(st.just("confirm"), places, st.sampled_from(ORDERS)),
        st.tuples(st.just("release"), places),
        st.tuples(
            st.just("redeem"), st.sampled_from("AAB"), st.sampled_from(CUSTOMERS), st.sampled_from(ORDERS)
        ),
        st.tuples(st.just("take back"), places),
        st.tuples(st.just("close"), st.sampled_from("AB")),
    ),
    min_size=5,
    max_size=25,
)


class Database:
    """The same steps by the operations. Rows are known by the number of the step that made them."""

    def __init__(self, tenant_id: int) -> None:
        self.tenant_id = tenant_id
        self.coupons: dict[int, str] = {}
        self.ids: dict[int, str] = {}

    def result(self, number, operation, **arguments):
        """What a step returned: the number of what it made or found, the reasons, or the error's code."""
        try:
            with transaction.atomic():
                found = operation(tenant_id=self.tenant_id, **arguments)
        except CouponNotRedeemable as refused:
            return {reason.type.value for reason in refused.reasons}
        except DomainError as refused:
            return refused.code
        if found is None:
            return "done"
        self.ids.setdefault(number, found.id)
        return next(key for key, id in self.ids.items() if id == found.id)

    def use(self, number, operation, code, customer, order, **options):
        self.coupons[number] = code
        return self.result(
            number,
            operation,
            code=code,
            buyer=Buyer.named(self.tenant_id, customer),
            order=Order(
                order_total=Money(Amount(100), "EUR"), discount=Money(Amount(10), "EUR"), order_code=order
            ),
            **options,
        )

    def confirm(self, number, place, order, at):
        self.coupons[number] = code = self.coupons.get(place, "A")
        return self.result(
            number,
            confirm_reservation,
            code=code,
            reservation_id=self.ids.get(place, "unknown"),
            order_code=order,
            at=at,
        )

    def release(self, place, at):
        return self.result(
            None,
            release_reservation,
            code=self.coupons.get(place, "A"),
            reservation_id=self.ids.get(place, "unknown"),
            at=at,
        )

    def take_back(self, place):
        return self.result(
            None,
            delete_redemption,
            code=self.coupons.get(place, "A"),
            redemption_id=self.ids.get(place, "unknown"),
        )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(coupon_limits=st.lists(limits, min_size=6, max_size=6), steps=steps)
def test_operations_do_what_the_model_does(db, coupon_limits, steps):
    with transaction.atomic():
        run(coupon_limits, steps)
        transaction.set_rollback(True)


def run(coupon_limits, steps):
    tenant = TenantFactory()
    for number in CUSTOMERS:
        CustomerFactory(tenant=tenant, external_id=number)
    limits = dict(zip(CODES, coupon_limits, strict=True))
    for code, (most, most_each) in limits.items():
        CouponFactory(tenant=tenant, code=code, max_redemptions=most, max_redemptions_per_customer=most_each)
    shop, database, seconds = Shop(limits), Database(tenant.pk), 0
    for number, (step, *facts) in enumerate(steps):
        at = START + timedelta(seconds=seconds)
        match step, facts:
            case "wait", [more]:
                seconds += more
                continue
            case "close", [code]:
                shop.closed.add(code)
                Coupon.objects.filter(tenant=tenant, code=code).update(valid_to=START - timedelta(1))
                continue
            case "reserve", [code, customer, order, ttl]:
                expected = shop.reserve(number, code, customer, order, ttl, seconds)
                found = database.use(number, reserve_coupon, code, customer, order, seconds=ttl, at=at)
            case "redeem", [code, customer, order]:
                expected = shop.redeem(number, code, customer, order, seconds)
                found = database.use(number, redeem_coupon, code, customer, order, at=at)
            case "confirm", [place, order]:
                expected = shop.confirm(place, number, order, seconds)
                found = database.confirm(number, place, order, at)
            case "release", [place]:
                expected = shop.release(place)
                found = database.release(place, at)
            case "take back", [place]:
                expected = shop.take_back(place)
                found = database.take_back(place)
        assert found == expected, (number, step, facts)
    at = START + timedelta(seconds=seconds)
    for code, (most, _) in limits.items():
        rows = Redemption.objects.filter(tenant=tenant, coupon__code=code).count()
        live = Reservation.objects.filter(tenant=tenant, coupon__code=code).live_at(at).count()
        assert rows == Coupon.objects.get(tenant=tenant, code=code).redemption_count
        assert live == len(shop.live(seconds, coupon=code))
        assert most is None or rows + live <= most
