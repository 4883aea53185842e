from datetime import timedelta

import pytest

from accounts.identity import scopes
from core.timestamps import format_time
from coupons.models import Coupon, Redemption, Reservation
from tests.coupons.conftest import COUPONS, faulty_fields, order, reasons
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory, ReservationFactory

A = f"{COUPONS}/A"


@pytest.fixture
def own(customer_api, customer):
    """The customer's own session."""
    return customer_api(customer)


@pytest.fixture
def coupon(tenant):
    return CouponFactory(tenant=tenant, code="A", max_redemptions=1)


def reserve(api, code="A", **members):
    return api.post(f"{COUPONS}/{code}/reservations", order(**members))


def confirm(api, reservation_id, body=None, code="A", **options):
    return api.post(f"{COUPONS}/{code}/reservations/{reservation_id}/confirmation", body, **options)


def test_customer_reserves_and_confirms(own, manager, coupon, now):
    answer = reserve(own, ttlSeconds=600, orderCode="O1")
    reservation = Reservation.objects.get()
    end = format_time(now + timedelta(seconds=600))
    assert (answer.status_code, answer.json()) == (201, {"id": reservation.external_id, "expiresAt": end})
    assert answer["Location"] == f"{A}/reservations/{reservation.external_id}"
    shown = {
        "id": reservation.external_id,
        "code": "A",
        "status": "LIVE",
        "orderCode": "O1",
        "customerNumber": "C1",
        "orderTotal": {"amount": 100, "currency": "EUR"},
        "discount": {"amount": 10, "currency": "EUR"},
        "reservedAt": format_time(now),
        "expiresAt": end,
    }
    assert own.get(answer["Location"]).json() == shown
    assert manager.get(f"{A}/reservations").json() == [shown]
    # What the contract answers knows nothing of reservations.
    assert manager.get(f"{A}/redemptions").json() == []
    described = manager.get(A).json()
    assert (described["redemptionCount"], described["status"]) == (0, "VALID")

    answer = confirm(own, reservation.external_id, {"orderCode": "O2"})
    redemption = Redemption.objects.get()
    assert (answer.status_code, answer.json()) == (201, {"id": redemption.external_id})
    assert (redemption.order_code, redemption.customer_number) == ("O2", "C1")
    assert Coupon.objects.get().redemption_count == 1
    assert confirm(own, reservation.external_id, {"orderCode": "O3"}).json() == {"id": redemption.external_id}
    assert Redemption.objects.count() == 1
    assert own.get(f"{A}/reservations/{reservation.external_id}").json() == {
        **shown,
        "status": "CONFIRMED",
        "redemptionId": redemption.external_id,
    }


def test_a_live_reservation_counts_against_the_limit_in_all(own, shop, customer_api, tenant, coupon, clock):
    CustomerFactory(tenant=tenant, external_id="C2")
    reserved = reserve(own, ttlSeconds=60).json()["id"]
    refused = shop.post(f"{A}/validation", order(customerNumber="C2"))
    assert reasons(refused) == ["coupon_used_up"]
    assert "reserved" in refused.json()["message"]
    assert reasons(shop.post(f"{A}/redemptions", order(customerNumber="C2"))) == ["coupon_used_up"]
    assert reasons(reserve(shop, customerNumber="C2")) == ["coupon_used_up"]
    clock.advance(timedelta(seconds=60))  # its end is the first instant at which it does not count
    assert shop.post(f"{A}/redemptions", order(customerNumber="C2")).status_code == 201
    assert reasons(confirm(own, reserved)) == ["coupon_used_up"]


def test_a_live_reservation_counts_against_the_limit_of_anonymous_use(shop, service_api, tenant, customer):
    CouponFactory(tenant=tenant, code="A", max_redemptions=1, allows_anonymous=True)
    assert reserve(shop, customerNumber="C1").status_code == 201
    anonymous = service_api(scopes.COUPON_REDEEM)
    assert reasons(anonymous.post(f"{A}/redemptions", order())) == ["coupon_used_up"]


def test_a_live_reservation_counts_against_the_customers_own_limit(own, tenant):
    CouponFactory(tenant=tenant, code="A", max_redemptions_per_customer=1)
    reserved = reserve(own).json()["id"]
    assert reasons(own.post(f"{A}/redemptions", order())) == ["customer_limit_reached"]
    assert confirm(own, reserved).status_code == 201
    assert reasons(reserve(own)) == ["customer_limit_reached"]


def test_one_that_is_over_is_confirmed_when_it_is_judged_well(own, coupon, clock):
    reserved = reserve(own, ttlSeconds=1).json()["id"]
    clock.advance(timedelta(seconds=2))
    assert confirm(own, reserved).status_code == 201


def test_one_that_is_over_is_judged_with_its_items(own, tenant, clock):
    coupon = CouponFactory(tenant=tenant, code="A", discount_percentage=20)
    lines = [{"id": "P1", "amount": 50.25}, {"id": "P2", "amount": 49.75, "quantity": 2}]
    reserved = reserve(own, discount=20, items=lines, ttlSeconds=1).json()["id"]
    clock.advance(timedelta(seconds=2))
    coupon.discount_percentage = 10
    coupon.save()
    assert reasons(confirm(own, reserved)) == ["discount_too_high"]


@pytest.mark.parametrize("change", [{"valid_to": timedelta(0)}, {"is_deleted": True}, {"valid_for": ["C9"]}])
def test_a_live_one_holds_whatever_happens_to_the_coupon(own, coupon, now, change):
    reserved = reserve(own).json()["id"]
    values = {name: now if isinstance(value, timedelta) else value for name, value in change.items()}
    Coupon.objects.update(**values)
    assert confirm(own, reserved).status_code == 201


def test_a_limit_that_was_lowered_below_what_is_used_is_kept(own, tenant):
    coupon = CouponFactory(tenant=tenant, code="A", max_redemptions=3)
    RedemptionFactory.create_batch(2, coupon=coupon)
    Coupon.objects.update(redemption_count=2)
    reserved = reserve(own).json()["id"]
    Coupon.objects.update(max_redemptions=2)
    assert reasons(confirm(own, reserved)) == ["coupon_used_up"]


def test_a_second_reservation_takes_the_place_of_the_first(own, manager, coupon):
    first, second = (reserve(own).json()["id"] for _ in range(2))
    assert first != second
    assert [row["id"] for row in manager.get(f"{A}/reservations", q="status:LIVE").json()] == [second]
    assert confirm(own, first).status_code == 404
    assert confirm(own, second).status_code == 201


def test_customer_holds_five_at_most(own, tenant, clock):
    for number in range(6):
        CouponFactory(tenant=tenant, code=f"N{number}")
    assert [reserve(own, f"N{number}").status_code for number in range(5)] == [201] * 5
    refused = reserve(own, "N5")
    assert (refused.status_code, refused.json()["type"]) == (409, "conflict_resource")
    assert "5 reservations" in refused.json()["message"]
    assert reserve(own, "N4").status_code == 201  # in the place of another
    clock.advance(timedelta(seconds=901))
    assert reserve(own, "N5").status_code == 201


def test_release_gives_the_use_back(own, shop, tenant, coupon):
    CustomerFactory(tenant=tenant, external_id="C2")
    path = f"{A}/reservations/{reserve(own).json()['id']}"
    key = {"Idempotency-Key": "k"}
    assert own.send("delete", path, headers=key).status_code == 204
    assert own.send("delete", path, headers=key).status_code == 204
    assert own.send("delete", path).status_code == 404
    assert confirm(own, path.rpartition("/")[2]).status_code == 404
    assert reserve(shop, customerNumber="C2").status_code == 201


def test_a_confirmed_one_cannot_be_released(own, coupon):
    reserved = reserve(own).json()["id"]
    confirm(own, reserved)
    answer = own.send("delete", f"{A}/reservations/{reserved}")
    assert (answer.status_code, Redemption.objects.count()) == (409, 1)


def test_the_same_key_reserves_once(own, coupon):
    key = {"Idempotency-Key": "k1"}
    answers = [own.post(f"{A}/reservations", order(), headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert Reservation.objects.count() == 1
    confirm(own, answers[0].json()["id"])
    assert own.post(f"{A}/reservations", order(), headers=key).json() == answers[0].json()


def test_confirming_an_order_that_is_redeemed_returns_its_redemption(own, tenant):
    CouponFactory(tenant=tenant, code="A")
    redeemed = own.post(f"{A}/redemptions", order(orderCode="O1")).json()["id"]
    reserved = reserve(own).json()["id"]
    assert confirm(own, reserved, {"orderCode": "O1"}).json() == {"id": redeemed}
    assert Coupon.objects.get().redemption_count == 1


def test_a_use_that_was_given_back_is_not_confirmed_again(own, manager, coupon):
    reserved = reserve(own).json()["id"]
    redeemed = confirm(own, reserved).json()["id"]
    manager.send("delete", f"{A}/redemptions/{redeemed}")
    assert confirm(own, reserved).status_code == 404


@pytest.mark.parametrize("action", ["confirmation", ""])
@pytest.mark.parametrize("kind", ["reservations", "cart-reservations"])
def test_one_that_goes_while_its_lock_is_waited_for_is_unknown(own, coupon, monkeypatch, kind, action):
    """The erasure of the customer takes the lock, and deletes what they hold."""
    path = f"{A}/reservations"
    if kind == "reservations":
        reserved = reserve(own).json()["id"]
    else:
        path = "/coupon/acme/cart-reservations"
        cart = {"currency": "EUR", "items": [{"id": "P1", "amount": 10}], "codes": ["A"]}
        reserved = own.post(path, cart).json()["id"]
    for module in ("reservations", "carts"):
        monkeypatch.setattr(
            f"coupons.operations.{module}.lock_reservations", lambda *_: Reservation.objects.all().delete()
        )
    answer = own.post(f"{path}/{reserved}/{action}") if action else own.send("delete", f"{path}/{reserved}")
    assert (answer.status_code, Redemption.objects.count()) == (404, 0)


def test_reservations_of_others_are_unknown(own, customer_api, manager, shop, tenant, coupon):
    other = customer_api(CustomerFactory(tenant=tenant, external_id="C2"))
    path = f"{A}/reservations/{reserve(own).json()['id']}"
    assert other.get(path).status_code == 404
    assert other.post(f"{path}/confirmation").status_code == 404
    assert other.send("delete", path).status_code == 404
    assert manager.get(path, customerNumber="C2").status_code in (403, 404)
    assert manager.get(path).status_code == 200
    assert shop.post(f"{path}/confirmation", {"orderCode": "O1"}).status_code == 201


def test_anonymous_sessions_reserve_nothing(anonymous_api, tenant):
    coupon = CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    held = ReservationFactory(coupon=coupon)
    assert reserve(anonymous_api).status_code == 403
    assert confirm(anonymous_api, held.external_id).status_code == 403
    assert anonymous_api.send("delete", f"{A}/reservations/{held.external_id}").status_code == 403


def test_a_service_names_the_customer(shop, service_api, tenant, customer):
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    assert faulty_fields(reserve(shop)) == ["customerNumber"]
    assert reserve(service_api(scopes.COUPON_REDEEM), customerNumber="C1").status_code == 403


@pytest.mark.parametrize("seconds", [0, 901, 1.5, "60"])
def test_a_reservation_lasts_one_to_nine_hundred_seconds(own, coupon, seconds):
    assert faulty_fields(reserve(own, ttlSeconds=seconds)) == ["ttlSeconds"]


def test_without_seconds_it_lasts_as_long_as_it_can(own, coupon, now):
    assert reserve(own).json()["expiresAt"] == format_time(now + timedelta(seconds=900))


def test_unknown_codes_are_counted_as_guesses(own, settings):
    settings.COUPON_FAILED_ATTEMPTS = 2
    assert [reserve(own, "NOPE").status_code for _ in range(3)] == [404, 404, 429]
    assert confirm(own, "x", code="NOPE").status_code == 429


def test_unknown_reservations_are_not_found(own, coupon):
    assert confirm(own, "unknown").json() == {
        "status": 404,
        "type": "resource_not_found",
        "message": "There is no reservation unknown: it is unknown, or was released or replaced.",
    }


def test_reserving_takes_a_constant_number_of_statements(own, tenant, django_assert_num_queries):
    coupon = CouponFactory(tenant=tenant, code="A", max_redemptions=50, max_redemptions_per_customer=2)
    for number in range(20):
        ReservationFactory(coupon=coupon, customer_number=f"X{number}")
    own.get(A)
    # attempts, coupon, lock, customer, their reservations, row; the savepoint and its end
    with django_assert_num_queries(8):
        assert reserve(own).status_code == 201
