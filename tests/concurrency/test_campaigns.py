"""Codes of campaigns with real threads: none too many, and each is used once."""

from collections import Counter
from functools import partial

import pytest

from coupons.bodies import CampaignBody
from coupons.models import Coupon, Redemption
from coupons.operations import campaigns, create_campaign, generate_codes, redeem_coupon
from coupons.orders import Buyer
from tests.concurrency.coupons import ORDER, attempt, now, outcomes
from tests.concurrency.threads import results_of
from tests.factories.accounts import CustomerFactory, TenantFactory
from tests.factories.coupons import coupon_body

pytestmark = pytest.mark.django_db(transaction=True)


def test_workers_at_once_make_no_code_too_many(monkeypatch):
    monkeypatch.setattr(campaigns, "SLICE", 30)
    tenant = TenantFactory(name="acme")
    body = CampaignBody(id="W1", count=100, template=coupon_body())
    campaign = create_campaign(tenant_id=tenant.pk, body=body, at=now())
    made = results_of([lambda: generate_codes(tenant_id=tenant.pk, campaign_id="W1", at=now()).made] * 12)
    assert Counter(made) == {30: 1, 60: 1, 90: 1, 100: 9}
    assert campaign.terms.codes.exclude(pk=campaign.terms_id).count() == 100


def test_each_code_is_used_once(monkeypatch):
    tenant = TenantFactory(name="acme")
    for number in range(4):
        CustomerFactory(tenant=tenant, external_id=f"C{number}")
    body = CampaignBody(id="W1", count=10, template=coupon_body())
    campaign = create_campaign(tenant_id=tenant.pk, body=body, at=now())
    generate_codes(tenant_id=tenant.pk, campaign_id="W1", at=now())
    codes = list(campaign.terms.codes.exclude(pk=campaign.terms_id).values_list("code", flat=True))

    def redeem(code: str, number: int) -> str:
        buyer = Buyer.named(tenant.pk, f"C{number}")
        return attempt(
            lambda: redeem_coupon(tenant_id=tenant.pk, code=code, buyer=buyer, order=ORDER, at=now()).id
        )

    calls = [partial(redeem, code, number) for number in range(4) for code in codes]
    assert outcomes(results_of(calls)) == {"done": 10, "coupon_used_up": 30}
    assert Redemption.objects.count() == 10
    assert Coupon.objects.get(pk=campaign.terms_id).redemption_count == 0
