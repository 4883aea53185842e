import pytest

from accounts.identity import scopes
from coupons.models import Coupon, CouponSettings
from tests.coupons.conftest import order, reasons
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory

REFERRAL = "/coupon/acme/referral-coupons/C1"


def test_referral_coupon_is_made_once(manager, customer):
    answer = manager.get(REFERRAL)
    assert (answer.status_code, answer.content) == (204, b"")
    answer = manager.post(REFERRAL)
    coupon = Coupon.objects.get()
    shown = {
        "code": coupon.code,
        "name": "Referral coupon",
        "discountType": "ABSOLUTE",
        "discountAbsolute": {"amount": 10, "currency": "EUR"},
        "discountCalculationType": "SUBTOTAL",
        "allowAnonymous": True,
        "maxRedemptions": -1,
        "maxRedemptionsPerCustomer": -1,
        "categoryRestricted": False,
        "segmentRestricted": False,
        "restrictions": {"validFor": []},
        "issuedTo": "C1",
        "referralCoupon": True,
        "redemptionCount": 0,
        "status": "VALID",
        "deleted": False,
        "metadata": {"version": 0},
    }
    assert (answer.status_code, answer.json()) == (200, shown)
    assert (coupon.code[:4], len(coupon.code)) == ("REF_", 14)
    for again in (manager.post(REFERRAL), manager.get(REFERRAL)):
        assert (again.status_code, again.json()) == (200, shown)
    assert Coupon.objects.count() == 1


def test_settings_of_the_tenant_shape_it(manager, customer):
    CouponSettings.objects.create(
        tenant=customer.tenant, referral_prefix="friend-", referral_amount=8, referral_currency="USD"
    )
    shown = manager.post(REFERRAL).json()
    assert shown["code"].startswith("FRIEND-")
    assert shown["discountAbsolute"] == {"amount": 8, "currency": "USD"}


def test_deleted_referral_coupon_can_be_replaced(manager, customer):
    first = manager.post(REFERRAL).json()["code"]
    assert manager.delete(f"/coupon/acme/coupons/{first}").status_code == 204
    assert manager.get(REFERRAL).status_code == 204
    assert manager.post(REFERRAL).json()["code"] != first


def test_ordinary_coupon_issued_to_a_customer_is_none(manager, customer):
    CouponFactory(tenant=customer.tenant, issued_to="C1")
    assert manager.get(REFERRAL).status_code == 204


def test_unknown_customer_is_404(manager, customer):
    answer = manager.post("/coupon/acme/referral-coupons/C2")
    assert (answer.status_code, answer.json()) == (
        404,
        {"status": 404, "type": "resource_not_found", "message": "There is no customer C2."},
    )
    assert Coupon.objects.count() == 0


def test_shoppers_ask_only_for_themselves(customer_api, anonymous_api, customer):
    own, other = customer_api(customer), customer_api(CustomerFactory(tenant=customer.tenant))
    assert own.post(REFERRAL).status_code == 200
    assert own.get(REFERRAL).status_code == 200
    for manager in (other, anonymous_api):
        for answer in (manager.get(REFERRAL), manager.post(REFERRAL)):
            assert (answer.status_code, answer.json()["type"]) == (403, "insufficient_permissions")


@pytest.mark.parametrize(
    ("scope", "reads", "creates"),
    [
        (scopes.SITE_READ, 403, 403),
        (scopes.COUPON_REDEEM, 403, 403),
        (scopes.COUPON_READ, 204, 403),
        (scopes.COUPON_MANAGE, 204, 200),
        (scopes.COUPON_REDEEM_ON_BEHALF, 204, 200),
    ],
)
def test_services_need_a_scope_for_coupons_of_customers(service_api, customer, scope, reads, creates):
    service = service_api(scope)
    assert service.get(REFERRAL).status_code == reads
    assert service.post(REFERRAL).status_code == creates
    assert Coupon.objects.count() == (creates == 200)


def test_anybody_redeems_it(manager, shop, customer):
    code = manager.post(REFERRAL).json()["code"]
    path = f"/coupon/acme/coupons/{code}"
    assert shop.post(f"{path}/redemptions", order()).status_code == 201
    assert reasons(shop.post(f"{path}/validation", order(total=5, discount=6))) == ["discount_too_high"]
