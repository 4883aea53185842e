from datetime import timedelta

import pytest

from accounts.identity import scopes
from accounts.identity.models import AttemptCounter
from accounts.identity.tokens import issue_access_token
from core.tenancy.callers import CallerKind
from coupons.models import Redemption
from tests.conftest import Api
from tests.coupons.conftest import COUPONS, order, reasons
from tests.factories.accounts import ApiClientFactory, CustomerFactory, SessionFactory
from tests.factories.coupons import CouponFactory

WRONG = f"{COUPONS}/GUESS"
RIGHT = f"{COUPONS}/RIGHT"


@pytest.fixture(autouse=True)
def three_failures_are_enough(settings):
    settings.COUPON_FAILED_ATTEMPTS = 3
    settings.COUPON_FAILED_ATTEMPTS_WINDOW = 60


@pytest.fixture(autouse=True)
def coupons(tenant):
    CouponFactory(tenant=tenant, code="RIGHT")
    CouponFactory(tenant=tenant, code="OPEN", allows_anonymous=True)
    CouponFactory(tenant=tenant, code="OTHERS", valid_for=["somebody else"])
    CouponFactory(tenant=tenant, code="GONE", is_deleted=True)


@pytest.fixture
def own(customer_api, tenant):
    return customer_api(CustomerFactory(tenant=tenant, external_id="C1"))


@pytest.fixture
def visitor(tenant, stored_signing_keys, now):
    """Make a client with an anonymous session of its own, at an address."""
    storefront = ApiClientFactory(tenant=tenant, client_id="storefront-acme")

    def make(address):
        session = SessionFactory(tenant=tenant, client=storefront, customer=None, created_at=now)
        token = issue_access_token(
            tenant=tenant,
            kind=CallerKind.ANONYMOUS,
            client_id=storefront.client_id,
            session_id=str(session.session_id),
            at=now,
        )
        api = Api(token)
        api.client.defaults["REMOTE_ADDR"] = address
        return api

    return make


def exhaust(api):
    assert api.post(f"{WRONG}/validation", order()).status_code == 404
    assert api.post(f"{WRONG}/redemptions", order()).status_code == 404
    assert api.get(WRONG).status_code == 404


def refused(answer):
    assert answer.status_code == 429
    assert answer["Retry-After"] == "60"
    assert answer.json() == {
        "status": 429,
        "type": "too_many_requests",
        "message": "Too many attempts with unknown codes; try again in 60 seconds.",
    }


def test_unknown_codes_by_every_operation_exhaust_a_customer(own):
    exhaust(own)
    refused(own.post(f"{WRONG}/validation", order()))
    refused(own.post(f"{RIGHT}/validation", order()))
    refused(own.get(RIGHT))
    refused(own.post(f"{RIGHT}/redemptions", order()))
    assert Redemption.objects.count() == 0


def test_known_codes_never_count_whatever_comes_of_them(own):
    for _ in range(4):
        assert own.post(f"{RIGHT}/validation", order()).status_code == 200
        assert reasons(own.post(f"{COUPONS}/OTHERS/validation", order())) == ["customer_not_eligible"]
        assert own.post(f"{COUPONS}/OTHERS/redemptions", order()).status_code == 400
        assert own.get(f"{COUPONS}/OTHERS").status_code == 404
        assert own.post(f"{COUPONS}/gone/redemptions", order()).status_code == 404
    assert AttemptCounter.objects.count() == 0


def test_success_does_not_reset(own):
    for _ in range(2):
        assert own.post(f"{WRONG}/validation", order()).status_code == 404
    assert own.post(f"{RIGHT}/validation", order()).status_code == 200
    assert AttemptCounter.objects.get().attempts == 2


def test_faulty_bodies_and_missing_scopes_are_no_attempts(own):
    for _ in range(4):
        assert own.post(f"{WRONG}/validation", {}).status_code == 400
        assert own.post(f"{WRONG}/validation", order(customerNumber="other")).status_code == 403
    assert AttemptCounter.objects.count() == 0


def test_customer_has_one_limit_at_all_addresses_and_by_every_caller(own, shop):
    exhaust(own)
    own.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    refused(own.post(f"{RIGHT}/validation", order()))
    refused(shop.post(f"{RIGHT}/validation", order(customerNumber="C1")))


def test_caller_on_behalf_is_limited_for_each_customer_it_names(shop, tenant):
    for number in ("C1", "C2"):
        CustomerFactory(tenant=tenant, external_id=number)
    for number in ("C1", "nobody"):
        for _ in range(3):
            answer = shop.post(f"{WRONG}/redemptions", order(customerNumber=number))
            assert answer.status_code == 404
        refused(shop.post(f"{RIGHT}/redemptions", order(customerNumber=number)))
    assert shop.post(f"{RIGHT}/redemptions", order(customerNumber="C2")).status_code == 201


def test_service_that_names_nobody_is_not_limited_as_a_whole(shop, service_api):
    for api in (shop, service_api(scopes.COUPON_REDEEM)):
        for _ in range(4):
            assert api.post(f"{WRONG}/validation", order()).status_code == 404
            assert api.get(WRONG).status_code == 404
        assert api.post(f"{COUPONS}/OPEN/redemptions", order()).status_code == 201
    assert AttemptCounter.objects.count() == 0


def test_anonymous_callers_are_limited_by_session(visitor):
    first, second = visitor("192.0.2.7"), visitor("192.0.2.7")
    exhaust(first)
    refused(first.post(f"{COUPONS}/OPEN/validation", order()))
    assert second.post(f"{COUPONS}/OPEN/redemptions", order()).status_code == 201


def test_anonymous_callers_are_limited_ten_times_wider_by_address(visitor, own):
    for _ in range(10):
        exhaust(visitor("192.0.2.7"))
    refused(visitor("192.0.2.7").post(f"{COUPONS}/OPEN/validation", order()))
    assert visitor("192.0.2.8").post(f"{COUPONS}/OPEN/validation", order()).status_code == 200
    own.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert own.post(f"{RIGHT}/validation", order()).status_code == 200


def test_window_ends(own, clock):
    exhaust(own)
    clock.advance(timedelta(seconds=61))
    assert own.post(f"{RIGHT}/validation", order()).status_code == 200
    assert own.post(f"{WRONG}/validation", order()).status_code == 404


def test_managers_read_coupons_without_being_counted(manager):
    for _ in range(5):
        assert manager.get(WRONG).status_code == 404
    assert AttemptCounter.objects.count() == 0
