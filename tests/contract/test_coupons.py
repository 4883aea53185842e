"""Replays the examples of the coupon contract (see `replay`)."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.identity.scopes import COUPON_MANAGE, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF
from accounts.models import Site
from core.json_types import JsonObject
from coupons.models import Coupon, CouponSettings
from tests.conftest import Api
from tests.contract.replay import as_parameters, read_examples, replay
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

EXAMPLES = read_examples("coupons")
MIXINS = {
    "mixins": {"couponCustomAttributes": {"provenance": "Winter sale", "suggestedAmount": 50}},
    "mixin_schemas": {"couponCustomAttributes": "https://example.com/schemas/coupon_attributes_v1.json"},
}
CUSTOMER = "61443563"


class World:
    """What examples may be given. Two segments and the customer are always there."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.tenant = site.tenant
        self.segments = [SegmentFactory(site=site, external_id=f"segmentId{number}") for number in (1, 2)]
        self.customer = CustomerFactory(
            tenant=site.tenant, external_id=CUSTOMER, first_name="Mia", last_name="Stone"
        )

    def percent(self, code: str, percentage: int, minimum: int, **values: object) -> Coupon:
        return CouponFactory(
            tenant=self.tenant,
            code=code,
            name=code,
            description=f"{percentage} percent off orders of {minimum} euros and more.",
            discount_percentage=Decimal(percentage),
            min_order_amount=Decimal(minimum),
            min_order_currency="EUR",
            **{**MIXINS, **values},
        )

    def past_coupon(self) -> None:
        self.percent(
            "W2023_7",
            7,
            150,
            valid_from=datetime(2023, 2, 9, 6, 45, 33, 779_000, tzinfo=UTC),
            valid_to=datetime(2023, 7, 31, 5, 45, 25, 934_000, tzinfo=UTC),
            version=1,
        )

    def open_coupon(self) -> None:
        self.percent(
            "W2023_10", 10, 500, valid_from=datetime(2023, 2, 9, 6, 47, 29, 177_000, tzinfo=UTC), version=3
        )

    def segment_coupon(self) -> None:
        coupon = self.percent(
            "FOR_SEGMENTS", 7, 150, is_segment_restricted=True, max_redemptions_per_customer=1, version=1
        )
        for segment in self.segments:
            CouponSegmentFactory(coupon=coupon, segment=segment)
            CustomerAssignmentFactory(segment=segment, customer=self.customer)

    def changed_coupon(self) -> None:
        Coupon.objects.filter(code="W2023_7").update(version=4)

    def redemptions(self) -> None:
        coupon = CouponFactory(tenant=self.tenant, code="10-OFF", redemption_count=2)
        for redemption, total, discount, day, time in (
            ("6429b8fdf8fd8e0001df1617", "299.30", "29.93", 2, (17, 18, 53, 701_000)),
            ("642aa7f5f8fd8e0001df161b", "369.07", "36.91", 3, (10, 18, 29, 233_000)),
        ):
            RedemptionFactory(
                coupon=coupon,
                external_id=redemption,
                customer=self.customer,
                customer_number=CUSTOMER,
                order_total_amount=Decimal(total),
                order_total_currency="USD",
                discount_amount=Decimal(discount),
                discount_currency="USD",
                redeemed_at=datetime(2023, 4, day, *time, tzinfo=UTC),
            )

    def referral_coupon(self) -> None:
        CouponFactory(
            tenant=self.tenant,
            code="REF_30",
            name="Referral coupon",
            description="A referral coupon.",
            discount_type="ABSOLUTE",
            discount_percentage=None,
            discount_amount=Decimal(8),
            discount_currency="USD",
            allows_anonymous=True,
            issued_to=CUSTOMER,
            is_referral=True,
            version=1,
            **MIXINS,
        )

    def referral_settings(self) -> None:
        CouponSettings.objects.create(
            tenant=self.tenant, referral_prefix="", referral_amount=Decimal(8), referral_currency="USD"
        )


GIVEN: dict[str, Callable[[World], None]] = {
    "past coupon": World.past_coupon,
    "open coupon": World.open_coupon,
    "segment coupon": World.segment_coupon,
    "changed coupon": World.changed_coupon,
    "redemptions": World.redemptions,
    "referral coupon": World.referral_coupon,
    "referral settings": World.referral_settings,
}


@pytest.mark.parametrize("example", as_parameters(EXAMPLES))
def test_an_example_of_the_contract_is_answered_as_published(
    site: Site, service_api: Callable[..., Api], example: JsonObject
) -> None:
    world = World(site)
    for name in example["given"]:
        GIVEN[name](world)
    tokens: dict[str, Callable[[], Api]] = {
        "service": lambda: service_api(COUPON_MANAGE, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF),
        "no scopes": service_api,
        "invalid": lambda: Api("e30.e30.e30"),
    }
    replay(example, tokens)


def test_every_operation_has_an_example() -> None:
    assert len({example["operation"] for example in EXAMPLES}) == 13
