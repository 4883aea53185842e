from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.identity import scopes
from accounts.identity.models.attempts import AttemptCounter
from coupons.models import Redemption
from tests.coupons.conftest import COUPONS, order
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory

WRONG = f"{COUPONS}/GUESS"
RIGHT = f"{COUPONS}/RIGHT"


@pytest.fixture(autouse=True)
def three_failures_are_enough(settings):
    settings.COUPON_FAILED_ATTEMPTS = 3
    settings.COUPON_FAILED_ATTEMPTS_WINDOW = 60


@pytest.fixture
def own(customer_api, tenant):
    CouponFactory(tenant=tenant, code="RIGHT")
    CouponFactory(tenant=tenant, code="OTHERS", valid_for=["somebody else"])
    return customer_api(CustomerFactory(tenant=tenant))


def exhaust(api):
    assert api.post(f"{WRONG}/validation", order()).status_code == 404
    assert api.post(f"{COUPONS}/OTHERS/redemptions", order()).status_code == 400
    assert api.get(WRONG).status_code == 404


def refused(answer):
    assert answer.status_code == 429
    wait = int(answer["Retry-After"])
    assert 50 <= wait <= 60
    assert answer.json() == {
        "status": 429,
        "type": "too_many_requests",
        "message": f"Too many failed attempts; try again in {wait} seconds.",
    }


def test_failed_attempts_of_all_kinds_exhaust_a_client(own):
    exhaust(own)
    refused(own.post(f"{WRONG}/validation", order()))
    refused(own.post(f"{RIGHT}/validation", order()))
    refused(own.get(RIGHT))
    refused(own.post(f"{WRONG}/redemptions", order()))


def test_redemption_that_succeeds_is_not_throttled(own):
    exhaust(own)
    for _ in range(5):
        assert own.post(f"{RIGHT}/redemptions", order()).status_code == 201
    assert Redemption.objects.count() == 5


def test_guessing_by_redemptions_is_refused_in_the_end(own):
    exhaust(own)
    for _ in range(27):
        refused(own.post(f"{WRONG}/redemptions", order()))
    refused(own.post(f"{RIGHT}/redemptions", order()))
    assert Redemption.objects.count() == 0


def test_success_neither_counts_nor_resets(own):
    for _ in range(5):
        assert own.post(f"{RIGHT}/validation", order()).status_code == 200
    for _ in range(2):
        assert own.post(f"{WRONG}/validation", order()).status_code == 404
    assert own.post(f"{RIGHT}/validation", order()).status_code == 200
    assert AttemptCounter.objects.get().attempts == 2


def test_faulty_bodies_and_missing_scopes_are_no_attempts(own):
    for _ in range(4):
        assert own.post(f"{WRONG}/validation", {}).status_code == 400
        assert own.post(f"{WRONG}/validation", order(customerNumber="other")).status_code == 403
    assert AttemptCounter.objects.count() == 0


def test_clients_and_addresses_are_counted_apart(own, tenant, service_api):
    CouponFactory(tenant=tenant, code="OPEN", allows_anonymous=True)
    exhaust(own)
    service = service_api(scopes.COUPON_REDEEM)
    assert service.post(f"{COUPONS}/OPEN/validation", order()).status_code == 200
    own.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert own.post(f"{RIGHT}/validation", order()).status_code == 200


def test_window_ends(own):
    exhaust(own)
    AttemptCounter.objects.update(resets_at=timezone.now() - timedelta(seconds=1))
    assert own.post(f"{RIGHT}/validation", order()).status_code == 200
    assert own.post(f"{WRONG}/validation", order()).status_code == 404


def test_managers_read_coupons_without_being_counted(manager, own):
    for _ in range(5):
        assert manager.get(WRONG).status_code == 404
    assert AttemptCounter.objects.count() == 0
