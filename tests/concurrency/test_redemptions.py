"""Redemptions with real threads, processes, commits and kills: limits hold, and rows and counters agree."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection, transaction

from accounts.operations.erasure import erase_customer
from core.errors import DomainError
from coupons.bodies import CouponBody, PastRedemption
from coupons.errors import CodeTaken, RedemptionNotFound
from coupons.models import Coupon, Redemption
from coupons.money import Amount, Money
from coupons.operations import (
    create_coupon,
    create_referral_coupon,
    delete_redemption,
    redeem_coupon,
    replace_coupon,
    revise_coupon,
)
from coupons.operations.history import import_redemptions
from coupons.orders import Buyer
from segments.models import Segment
from tests.concurrency.coupons import ORDER, attempt, now, outcomes, stored_uses
from tests.concurrency.threads import in_processes, in_thread, results_of
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.coupons import CouponFactory, coupon_body
from tests.factories.segments import SegmentFactory
from tests.waiting import PATIENCE, wait_for_a_lock, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def redeem(tenant_id, customer="", legal_entity="", **options) -> str:
    """Redeem the coupon A; return the redemption's id or the types of the reasons of its refusal."""
    buyer = (
        Buyer.named(tenant_id, customer, legal_entity_id=legal_entity)
        if customer
        else Buyer.anonymous(tenant_id)
    )
    return attempt(
        lambda: redeem_coupon(tenant_id=tenant_id, code="A", buyer=buyer, order=ORDER, at=now(), **options).id
    )


def test_two_hundred_redemptions_of_fifty_uses(tenant):
    CouponFactory(tenant=tenant, code="A", max_redemptions=50, allows_anonymous=True)
    results = results_of([lambda: redeem(tenant.pk)] * 200)
    assert outcomes(results) == {"done": 50, "coupon_used_up": 150}
    assert stored_uses() == (50, 50)


def test_two_redemptions_for_each_customer(tenant):
    customers = [CustomerFactory(tenant=tenant, external_id=f"C{number}") for number in range(25)]
    CouponFactory(tenant=tenant, code="A", max_redemptions_per_customer=2)
    calls = [lambda number=customer.external_id: redeem(tenant.pk, number) for customer in customers] * 8
    random.Random(1).shuffle(calls)
    assert outcomes(results_of(calls)) == {"done": 50, "customer_limit_reached": 150}
    assert stored_uses() == (50, 50)
    assert set(Counter(Redemption.objects.values_list("customer_number", flat=True)).values()) == {2}


def test_two_legal_entities_have_limits_of_their_own(tenant):
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    for name in ("L1", "L2"):
        ContactAssignmentFactory(
            customer=customer, legal_entity=LegalEntityFactory(tenant=tenant, external_id=name)
        )
    CouponFactory(tenant=tenant, code="A", max_redemptions_per_customer=7)
    calls = [lambda name=name: redeem(tenant.pk, "C1", name) for name in ("L1", "L2")] * 100
    assert outcomes(results_of(calls)) == {"done": 14, "legal_entity_limit_reached": 186}
    assert stored_uses() == (14, 14)
    assert Counter(Redemption.objects.values_list("legal_entity_id", flat=True)) == {"L1": 7, "L2": 7}


def test_deletions_and_limit_changes_in_between(tenant):
    CouponFactory(tenant=tenant, code="A", max_redemptions=40, allows_anonymous=True)
    chance = random.Random(2)

    def take_back() -> str:
        some = Redemption.objects.values_list("external_id", flat=True).order_by("?").first()
        if some is None:
            return "nothing to take back"
        try:
            delete_redemption(tenant_id=tenant.pk, code="A", redemption_id=some)
        except RedemptionNotFound:
            return "taken back already"
        return "taken back"

    def change_limit(limit: int) -> str:
        body = coupon_body(allows_anonymous=True, max_redemptions=limit)
        replace_coupon(tenant_id=tenant.pk, code="A", body=body, at=now())
        return "limit changed"

    def observe() -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT redemption_count, (SELECT count(*) FROM coupons_redemption) FROM coupons_coupon"
            )
            counter, rows = cursor.fetchone()
        return "agrees" if counter == rows <= 60 else f"{counter} counted, {rows} rows"

    calls: list[Callable[[], object]] = [lambda: redeem(tenant.pk)] * 200
    calls += [take_back] * 40
    calls += [partial(change_limit, chance.randint(20, 60)) for _ in range(20)]
    calls += [observe] * 40
    chance.shuffle(calls)
    counted = outcomes(results_of(calls))
    uses = counted["done"] - counted["taken back"]
    assert set(counted) <= {
        "done",
        "coupon_used_up",
        "taken back",
        "taken back already",
        "nothing to take back",
        "limit changed",
        "agrees",
    }
    assert (counted["limit changed"], counted["agrees"]) == (20, 40)
    assert stored_uses() == (uses, uses)
    assert Coupon.objects.get().version == 20


def test_history_is_imported_while_the_coupon_is_used(tenant):
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    euro = Money(Amount(1), "EUR")
    history = [
        PastRedemption(code="A", order_total=euro, discount=euro, redeemed_at=now(), id=f"R{number}")
        for number in range(50)
    ]
    calls: list[Callable[[], object]] = [lambda: redeem(tenant.pk)] * 60
    calls += [lambda: import_redemptions(tenant_id=tenant.pk, rows=history) and "imported"] * 6
    random.Random(4).shuffle(calls)
    assert outcomes(results_of(calls)) == {"done": 60, "imported": 6}
    assert stored_uses() == (110, 110)


def test_same_order_counts_once(tenant):
    CustomerFactory(tenant=tenant, external_id="C1")
    CouponFactory(tenant=tenant, code="A")
    results = results_of([lambda: redeem(tenant.pk, "C1", idempotency_key="key-1")] * 40)
    assert len(set(results)) == 1
    assert stored_uses() == (1, 1)


def test_same_code_is_created_once(tenant):
    def create() -> str:
        try:
            return create_coupon(tenant_id=tenant.pk, body=coupon_body(code="new"), at=now()).code
        except CodeTaken:
            return "taken"

    assert Counter(results_of([create] * 16)) == {"NEW": 1, "taken": 15}


def test_customer_gets_one_referral_coupon(tenant):
    CustomerFactory(tenant=tenant, external_id="C1")
    results = results_of(
        [lambda: create_referral_coupon(tenant_id=tenant.pk, customer_number="C1", at=now()).code] * 16
    )
    assert [*set(results)] == [Coupon.objects.get().code]


def test_no_change_of_a_coupon_is_lost(tenant):
    CouponFactory(tenant=tenant, code="A")

    def add(number: int) -> None:
        def revise(stored: CouponBody) -> CouponBody:
            return coupon_body(name=stored.name, valid_for=[*stored.restrictions.valid_for, f"C{number}"])

        revise_coupon(tenant_id=tenant.pk, code="A", revise=revise, at=now())

    assert results_of([lambda number=number: add(number) for number in range(30)]) == [None] * 30
    coupon = Coupon.objects.get()
    assert set(coupon.valid_for) == {f"C{number}" for number in range(30)}
    assert coupon.version == 30


def test_coupons_change_while_their_segments_are_deleted(tenant):
    site = SiteFactory(tenant=tenant)
    segments = [SegmentFactory(site=site, external_id=f"S{number}") for number in range(20)]
    for code in ("A", "B"):
        CouponFactory(tenant=tenant, code=code)

    def restrict(code: str, number: int) -> str:
        body = coupon_body(is_segment_restricted=True, segments=[f"S{number}", f"S{number + 1}", "S19"])
        try:
            replace_coupon(tenant_id=tenant.pk, code=code, body=body, at=now())
        except DomainError as refused:
            return refused.code
        return "done"

    calls: list[Callable[[], object]] = []
    for number in range(18):
        calls.append(lambda number=number: restrict("A", number))
        calls.append(lambda number=number: restrict("B", 17 - number))
        calls.append(lambda key=segments[number].pk: Segment.objects.filter(pk=key).delete() and "done")
    assert set(results_of(calls)) <= {"done", "invalid_terms"}


def test_processes_share_the_limit(tenant):
    CouponFactory(tenant=tenant, code="A", max_redemptions=50, allows_anonymous=True)

    def work() -> None:
        for _ in range(50):
            redeem(tenant.pk)

    processes = in_processes(4, work)
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert stored_uses() == (50, 50)


def test_killed_processes_leave_rows_and_counters_that_agree(tenant):
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)

    def work() -> None:
        while True:
            redeem(tenant.pk)

    chance = random.Random(3)
    for _ in range(4):
        before = stored_uses()[1]
        processes = in_processes(3, work)
        wait_until(lambda before=before: stored_uses()[1] >= before + 10)
        for process in processes:
            time.sleep(chance.random() / 50)
            os.kill(process.pid, signal.SIGKILL)
        for process in processes:
            process.join(PATIENCE)
            assert process.exitcode == -signal.SIGKILL
        # What a dead process held is let go of, so the next use waits for nothing.
        assert "-" in redeem(tenant.pk)
        counter, rows = stored_uses()
        assert counter == rows >= before + 11


def test_a_redemption_beside_the_erasure_of_its_customer_keeps_no_number(tenant):
    CustomerFactory(tenant=tenant, external_id="C1")
    CouponFactory(tenant=tenant, code="A", max_redemptions_per_customer=1)
    with transaction.atomic():
        erasure = erase_customer(tenant_id=tenant.pk, external_id="C1", requested_by="test", at=now())
        redemption = in_thread(lambda: redeem(tenant.pk, "C1"))
        wait_for_a_lock()
    assert outcomes([redemption.result(PATIENCE)]) == {"done": 1}
    row = Redemption.objects.get()
    assert (row.customer_id, row.customer_number) == (None, erasure.pseudonym)
