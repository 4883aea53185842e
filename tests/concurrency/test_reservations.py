"""Reservations with real threads, processes, commits and kills: limits hold while a clock goes on."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from coupons.models import Coupon, Redemption, Reservation
from coupons.money import Amount
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
from coupons.orders import Buyer, CartBody, OrderItem
from tests.concurrency.coupons import ORDER, attempt, now, outcomes, stored_uses
from tests.concurrency.threads import in_processes, results_of
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory
from tests.waiting import PATIENCE, wait_for_killed_sessions, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)


def reserve(tenant_id, customer, code="A", at=None, seconds=900, **options) -> str:
    return attempt(
        lambda: (
            reserve_coupon(
                tenant_id=tenant_id,
                code=code,
                buyer=Buyer.named(tenant_id, customer),
                order=ORDER,
                seconds=seconds,
                at=at or now(),
                **options,
            ).id
        )
    )


def confirm(tenant_id, reservation_id, code="A", at=None) -> str:
    return attempt(
        lambda: (
            confirm_reservation(
                tenant_id=tenant_id, code=code, reservation_id=reservation_id, at=at or now()
            ).id
        )
    )


def redeem(tenant_id, customer, at=None) -> str:
    buyer = Buyer.named(tenant_id, customer)
    return attempt(
        lambda: redeem_coupon(tenant_id=tenant_id, code="A", buyer=buyer, order=ORDER, at=at or now()).id
    )


def release(tenant_id, reservation_id) -> str:
    return attempt(
        lambda: release_reservation(tenant_id=tenant_id, code="A", reservation_id=reservation_id, at=now())
    )


def made(results) -> list[str]:
    return [result for result in results if "-" in result]


def customers(tenant, count: int) -> list[str]:
    return [CustomerFactory(tenant=tenant, external_id=f"C{number}").external_id for number in range(count)]


def test_reservations_and_redemptions_share_the_limit(tenant):
    numbers = customers(tenant, 40)
    CouponFactory(tenant=tenant, code="A", max_redemptions=15)
    calls = [lambda number=number: reserve(tenant.pk, number) for number in numbers]
    calls += [lambda number=number: redeem(tenant.pk, number) for number in numbers]
    random.Random(1).shuffle(calls)
    assert outcomes(results_of(calls)) == {"done": 15, "coupon_used_up": 65}
    counter, rows = stored_uses()
    live = Reservation.objects.live_at(now()).count()
    assert counter == rows == 15 - live


def test_every_reservation_is_confirmed_once_however_often_it_is_asked_for(tenant):
    numbers = customers(tenant, 10)
    CouponFactory(tenant=tenant, code="A", max_redemptions=10)
    ids = [reserve(tenant.pk, number) for number in numbers]
    calls = [lambda id=id: confirm(tenant.pk, id) for id in ids] * 6
    calls += [lambda number=number: redeem(tenant.pk, number) for number in numbers]
    random.Random(2).shuffle(calls)
    found = outcomes(results_of(calls))
    assert found == {"done": 60, "coupon_used_up": 10}
    assert stored_uses() == (10, 10)


def test_confirmation_and_release_exclude_each_other(tenant):
    numbers = customers(tenant, 12)
    CouponFactory(tenant=tenant, code="A", max_redemptions=12)
    ids = [reserve(tenant.pk, number) for number in numbers]
    calls: list[Callable[[], object]] = [lambda id=id: confirm(tenant.pk, id) for id in ids]
    calls += [lambda id=id: release(tenant.pk, id) for id in ids]
    random.Random(3).shuffle(calls)
    found = outcomes(results_of(calls))
    confirmed = Reservation.objects.exclude(redemption_id="").count()
    # Counters compare as if absent outcomes were 0.
    assert found == Counter(
        {
            "done": confirmed,
            "None": 12 - confirmed,
            "reservation_confirmed": confirmed,
            "reservation_not_found": 12 - confirmed,
        }
    )
    assert stored_uses() == (confirmed, confirmed)


def test_a_customer_holds_one_of_a_coupon_and_five_in_all(tenant):
    [number] = customers(tenant, 1)
    for name in "ABCDEFGH":
        CouponFactory(tenant=tenant, code=name)
    calls = [lambda code=code: reserve(tenant.pk, number, code) for code in "ABCDEFGH"] * 6
    random.Random(4).shuffle(calls)
    found = outcomes(results_of(calls))
    assert set(found) == {"done", "too_many_reservations"}
    live = Reservation.objects.live_at(now())
    held = list(live.values_list("coupon__code", flat=True))
    assert len(held) == len(set(held)) == 5


def test_the_same_key_reserves_once(tenant):
    [number] = customers(tenant, 1)
    CouponFactory(tenant=tenant, code="A")
    results = results_of([lambda: reserve(tenant.pk, number, idempotency_key="k")] * 24)
    assert len(set(results)) == 1
    assert Reservation.objects.count() == 1


def test_limits_hold_while_the_clock_passes_the_ends_of_reservations(tenant):
    """Requests read the clock before they wait for the lock, so instants come in any order."""
    numbers = customers(tenant, 60)
    CouponFactory(tenant=tenant, code="A", max_redemptions=10)
    chance = random.Random(5)
    ids = made([reserve(tenant.pk, number, at=START, seconds=10) for number in numbers[:10]])
    assert len(ids) == 10

    def around() -> datetime:
        return START + timedelta(seconds=10, milliseconds=chance.choice([-2, -1, 0, 1, 2]))

    calls: list[Callable[[], object]] = [partial(confirm, tenant.pk, id, at=around()) for id in ids * 2]
    calls += [partial(redeem, tenant.pk, number, at=around()) for number in numbers[10:35]]
    calls += [partial(reserve, tenant.pk, number, at=around()) for number in numbers[35:]]
    chance.shuffle(calls)
    assert set(outcomes(results_of(calls))) <= {"done", "coupon_used_up"}
    # Whoever holds a live reservation now gets the use, and nobody gets more than there are.
    held = Reservation.objects.live_at(START + timedelta(seconds=20))
    answers = [confirm(tenant.pk, one.external_id, at=START + timedelta(seconds=20)) for one in held]
    assert outcomes(answers) == Counter({"done": len(answers)})
    counter, rows = stored_uses()
    assert counter == rows <= 10


def test_killed_processes_hold_nothing_but_their_reservations(tenant):
    numbers = customers(tenant, 3)
    CouponFactory(tenant=tenant, code="A", max_redemptions=100_000)

    def work() -> None:
        chance = random.Random(os.getpid())
        while True:
            held = reserve(tenant.pk, chance.choice(numbers))
            chance.choice([confirm, release])(tenant.pk, held)

    chance = random.Random(6)
    for _ in range(3):
        before = stored_uses()[1]
        processes = in_processes(3, work)
        wait_until(lambda before=before: stored_uses()[1] >= before + 5)
        for process in processes:
            time.sleep(chance.random() / 50)
            os.kill(process.pid, signal.SIGKILL)
        for process in processes:
            process.join(PATIENCE)
        wait_for_killed_sessions()
        assert "-" in redeem(tenant.pk, numbers[0])
        counter, rows = stored_uses()
        assert counter == rows >= before + 6
        confirmed = Reservation.objects.exclude(redemption_id="").values_list("redemption_id", flat=True)
        assert len(set(confirmed)) == len(confirmed)
        assert set(confirmed) <= set(Redemption.objects.values_list("external_id", flat=True))
        live = Counter(Reservation.objects.live_at(now()).values_list("customer_number", flat=True))
        assert set(live.values()) <= {1}


def cart_of(*codes) -> CartBody:
    return CartBody(currency="EUR", items=[OrderItem("P1", Amount(100))], codes=list(codes))


def reserve_whole(tenant_id, customer, *codes, at=None, seconds=900) -> str:
    body, buyer = cart_of(*codes), Buyer.named(tenant_id, customer)
    return attempt(
        lambda: reserve_cart(tenant_id=tenant_id, body=body, buyer=buyer, seconds=seconds, at=at or now()).id
    )


def release_whole(tenant_id, cart_id) -> str:
    return attempt(partial(release_cart, tenant_id=tenant_id, cart_id=cart_id, at=now()))


def test_carts_that_name_the_same_coupons_in_any_order(tenant):
    """All or nothing, no deadlock, and no coupon beyond its limit."""
    numbers = customers(tenant, 24)
    limits = {"A": 10, "B": 6, "C": 8}
    for code, most in limits.items():
        CouponFactory(tenant=tenant, code=code, max_redemptions=most)
    chance = random.Random(7)
    calls: list[Callable[[], object]] = [
        partial(reserve_whole, tenant.pk, number, *chance.sample(["A", "B", "C"], 2)) for number in numbers
    ]
    calls += [partial(redeem, tenant.pk, number) for number in numbers[:8]]
    chance.shuffle(calls)
    assert set(outcomes(results_of(calls))) <= {"done", "coupon_not_redeemable", "coupon_used_up"}
    carts = Counter(Reservation.objects.live_at(now()).values_list("cart_id", flat=True))
    assert set(carts.values()) == {2}
    for code, most in limits.items():
        coupon = Coupon.objects.get(code=code)
        assert coupon.redemption_count + coupon.reservations.live_at(now()).count() <= most

    confirm_all = [
        partial(attempt, partial(confirm_cart, tenant_id=tenant.pk, cart_id=cart_id, at=now()))
        for cart_id in [*carts] * 3
    ]
    chance.shuffle(confirm_all)
    answers = results_of(confirm_all)
    assert not [answer for answer in answers if not str(answer).startswith("{")]
    for code, most in limits.items():
        coupon = Coupon.objects.get(code=code)
        assert coupon.redemption_count == coupon.redemptions.count() <= most
    confirmed = Reservation.objects.filter(cart_id__in=carts).values_list("redemption_id", flat=True)
    assert len(set(confirmed)) == len(confirmed) == 2 * len(carts)


def test_one_customer_with_many_carts_at_once_holds_one(tenant):
    [number] = customers(tenant, 1)
    for code in "ABC":
        CouponFactory(tenant=tenant, code=code, max_redemptions=1)
    calls = [partial(reserve_whole, tenant.pk, number, *codes) for codes in ("AB", "BC", "CA") * 8]
    assert outcomes(results_of(calls)) == {"done": 24}
    carts = Counter(Reservation.objects.live_at(now()).values_list("cart_id", flat=True))
    assert [*carts.values()] == [2]


def confirm_whole(tenant_id, cart_id, at=None) -> str:
    return attempt(
        lambda: ",".join(
            one.id for one in confirm_cart(tenant_id=tenant_id, cart_id=cart_id, at=at or now()).values()
        )
    )


def refuse_broken_limits(limits: dict[str, int], at: datetime) -> None:
    """Counters are the numbers of rows, no limit is exceeded, and carts are confirmed whole or not at all."""
    for code, most in limits.items():
        coupon = Coupon.objects.get(code=code)
        assert coupon.redemption_count == coupon.redemptions.count(), code
        assert coupon.redemption_count + coupon.reservations.live_at(at).count() <= most, code
    confirmed: dict[str, set[bool]] = {}
    for cart_id, redemption_id in Reservation.objects.exclude(cart_id="").values_list(
        "cart_id", "redemption_id"
    ):
        confirmed.setdefault(cart_id, set()).add(bool(redemption_id))
    assert {len(parts) for parts in confirmed.values()} <= {1}
    made = Reservation.objects.exclude(redemption_id="").values_list("redemption_id", flat=True)
    assert len(set(made)) == len(made)


def test_limits_hold_while_the_clock_passes_the_ends_of_carts(tenant):
    numbers = customers(tenant, 40)
    limits = {"A": 8, "B": 5, "C": 6}
    for code, most in limits.items():
        CouponFactory(tenant=tenant, code=code, max_redemptions=most)
    chance = random.Random(8)

    def pair() -> list[str]:
        return chance.sample("ABC", 2)

    ids = made([reserve_whole(tenant.pk, number, *pair(), at=START, seconds=10) for number in numbers[:12]])
    assert ids

    def around() -> datetime:
        return START + timedelta(seconds=10, milliseconds=chance.choice([-2, -1, 0, 1, 2]))

    calls: list[Callable[[], object]] = [partial(confirm_whole, tenant.pk, id, at=around()) for id in ids * 2]
    calls += [
        partial(reserve_whole, tenant.pk, number, *pair(), at=around(), seconds=10)
        for number in numbers[12:32]
    ]
    calls += [partial(redeem, tenant.pk, number, at=around()) for number in numbers[32:]]
    chance.shuffle(calls)
    assert set(outcomes(results_of(calls))) <= {"done", "coupon_not_redeemable", "coupon_used_up"}
    later = START + timedelta(seconds=15)  # the first carts are over, the second ones live
    held = {one.cart_id for one in Reservation.objects.live_at(later)}
    assert outcomes([confirm_whole(tenant.pk, id, at=later) for id in held]) == Counter({"done": len(held)})
    refuse_broken_limits(limits, later)


def test_killed_processes_keep_the_limits_of_carts(tenant):
    """Carts and single uses of few coupons: reserved, confirmed, released or left to end, and killed."""
    numbers = customers(tenant, 8)
    limits = {"A": 3, "B": 2, "C": 2}
    for code, most in limits.items():
        CouponFactory(tenant=tenant, code=code, max_redemptions=most)

    def take_back(reservations) -> None:
        for code, id in reservations.exclude(redemption_id="").values_list("coupon__code", "redemption_id"):
            attempt(partial(delete_redemption, tenant_id=tenant.pk, code=code, redemption_id=id))

    def work() -> None:
        chance = random.Random(os.getpid())
        while True:
            number = chance.choice(numbers)
            if chance.random() < 0.3:
                confirm(tenant.pk, reserve(tenant.pk, number, seconds=1))
            else:
                cart_id = reserve_whole(tenant.pk, number, *chance.sample("ABC", 2), seconds=1)
                end = chance.choice([confirm_whole, confirm_whole, release_whole, lambda *_: ""])
                end(tenant.pk, cart_id)
            if chance.random() < 0.7:
                take_back(Reservation.objects.filter(customer_number=number))

    chance = random.Random(9)
    for _ in range(3):
        before = Reservation.objects.count()
        processes = in_processes(3, work)
        wait_until(lambda before=before: Reservation.objects.count() >= before + 10)
        for process in processes:
            time.sleep(chance.random() / 50)
            os.kill(process.pid, signal.SIGKILL)
        for process in processes:
            process.join(PATIENCE)
        wait_for_killed_sessions()
        assert Reservation.objects.count() >= before + 10
        refuse_broken_limits(limits, now())
        take_back(Reservation.objects.all())
        for cart_id in set(Reservation.objects.live_at(now()).values_list("cart_id", flat=True)) - {""}:
            release_whole(tenant.pk, cart_id)
        refuse_broken_limits(limits, now())
