from decimal import Decimal
from typing import get_args

import pytest

from core.bodies import read_body
from core.body_schemas import schema_components
from core.errors import InvalidBody
from core.representation.schema import representation_schema
from coupons.bodies import (
    CouponBody,
    PastRedemption,
    RedemptionBody,
    ValidationBody,
    columns_of,
    patched_document,
    stored_body,
)
from coupons.models import Coupon, DiscountCalculation, DiscountType
from coupons.money import Money
from coupons.operations import create_coupon
from coupons.representations import COUPONS, COUPONS_FOR_SHOPPERS, REDEMPTIONS
from coupons.results import CouponVerdict, ResourceLocation
from coupons.rules import problems_of
from tests.factories.coupons import coupon_body
from tests.factories.segments import SegmentFactory

MONEY = {"amount": 1, "currency": "EUR"}
REDEMPTION = {"code": "A", "orderTotal": MONEY, "discount": MONEY, "redeemedAt": "2023-04-02T00:00:00Z"}


def faults(kind, body):
    with pytest.raises(InvalidBody) as refused:
        read_body(kind, body)
    return {problem.field: problem.message for problem in refused.value.problems}


def test_all_faults_are_named():
    assert faults(
        CouponBody,
        {
            "discountType": "GIFT",
            "discountPercentage": "10",
            "discountAbsolute": {"amount": 1_000_000_000_001, "currency": "eur"},
            "maxRedemptions": 1.5,
            "allowAnonymous": 1,
            "restrictions": {"validFrom": "2024-01-31", "segments": [5]},
        },
    ) == {
        "name": "name is missing.",
        "discountType": "discountType must be ABSOLUTE, FREE_SHIPPING or PERCENT.",
        "discountPercentage": "discountPercentage must be a number.",
        "discountAbsolute.amount": "discountAbsolute.amount must be between 0 and 1000000000000.",
        "discountAbsolute.currency": "discountAbsolute.currency must be the three upper-case letters of a"
        " currency.",
        "maxRedemptions": "maxRedemptions must be a whole number.",
        "allowAnonymous": "allowAnonymous must be true or false.",
        "restrictions.validFrom": "restrictions.validFrom is a date without a time and an offset; send an"
        " instant such as 2024-01-31T12:00:00.000Z.",
        "restrictions.segments[0]": "restrictions.segments[0] must be a text.",
    }


@pytest.mark.parametrize("amount", [Decimal("1e400"), Decimal("-0.01"), float("inf"), Decimal("NaN"), True])
def test_amounts_are_finite_and_bounded(amount):
    body = {**REDEMPTION, "orderTotal": {"amount": amount}}
    assert list(faults(PastRedemption, body)) == ["orderTotal.amount"]


def test_amounts_are_kept_as_they_are_written_to_six_places():
    body = read_body(
        PastRedemption, {**REDEMPTION, "orderTotal": {"amount": 0.1}, "discount": {"amount": 0.0000005}}
    )
    assert (body.order_total, body.discount) == (
        Money(Decimal("0.1"), "USD"),
        Money(Decimal("0.000001"), "USD"),
    )


def test_whole_numbers_may_be_written_as_floats():
    body = read_body(CouponBody, {"name": "A", "maxRedemptions": 5.0, "metadata": {"version": 2.0}})
    assert (body.max_redemptions, body.expected_version) == (5, 2)


def test_choices_are_those_of_the_model():
    fields = CouponBody.__annotations__
    assert set(get_args(get_args(fields["discount_type"])[0])) == set(DiscountType.values)
    assert set(get_args(get_args(fields["discount_calculation_type"])[0])) == set(DiscountCalculation.values)


def test_every_column_that_staff_decide_about_is_written():
    derived = {
        "id",
        "tenant_id",
        "code",
        "version",
        "is_referral",
        "is_deleted",
        "redemption_count",
        "terms_id",
        "created_at",
        "modified_at",
    }
    assert (
        columns_of(coupon_body()).keys() == {field.column for field in Coupon._meta.concrete_fields} - derived
    )


def test_stored_coupon_is_read_back_as_the_body_that_made_it(site, now):
    SegmentFactory(site=site, external_id="vip")
    body = coupon_body(
        code="A",
        discount_absolute=Money(Decimal("4.99"), "EUR"),
        max_redemptions=0,
        is_segment_restricted=True,
        segments=["vip"],
        valid_from=now,
        min_order_value=Money(Decimal(5), "EUR"),
        mixins={"a": {"b": None}},
    )
    coupon = create_coupon(tenant_id=site.tenant_id, body=body, at=now)
    coupon.refresh_from_db()
    stored = stored_body(coupon)
    assert stored.expected_version == 0
    stored.metadata = None
    assert stored == body
    document = patched_document(stored)
    assert read_body(CouponBody, {**document, "code": "A"}) == body
    assert document["restrictions"] == {
        "validFor": [],
        "validFrom": "2026-03-04T09:30:15.250Z",
        "minOrderValue": {"amount": 5, "currency": "EUR"},
        "segments": ["vip"],
    }


@pytest.mark.parametrize("valid_for", [[" "], [""], ["\u200b"], ["", "\u00a0"]])
def test_customers_that_are_all_blank_do_not_open_a_coupon_to_everybody(valid_for):
    body = read_body(CouponBody, {"name": "A", "restrictions": {"validFor": valid_for}})
    assert "restrictions.validFor" in [problem.field for problem in problems_of(body)]


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\u00ad\u2060"])
def test_name_has_a_visible_character(name):
    assert [problem.field for problem in problems_of(coupon_body(name=name))] == ["name"]


def undescribed(schema, path):
    for name, member in schema.get("properties", {}).items():
        if "description" not in member:
            yield f"{path}.{name}"
        yield from undescribed(member, f"{path}.{name}")
    if "items" in schema:
        yield from undescribed(schema["items"], f"{path}[]")


def test_every_member_of_requests_and_responses_is_described():
    kinds = (CouponBody, RedemptionBody, ValidationBody, PastRedemption, CouponVerdict, ResourceLocation)
    schemas = schema_components(*kinds)
    for shown in (COUPONS, COUPONS_FOR_SHOPPERS, REDEMPTIONS):
        schemas[shown.name] = representation_schema(shown)
    assert [path for name, schema in schemas.items() for path in undescribed(schema, name)] == []


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, Decimal("-0.00")])
def test_an_amount_of_minus_zero_is_zero(zero):
    read = read_body(PastRedemption, {**REDEMPTION, "discount": {"amount": zero, "currency": "EUR"}})
    assert str(read.discount) == "0 EUR"
    assert not read.discount.amount.is_signed()
