from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from accounts.identity import scopes
from core.json_types import JsonObject
from tests.conftest import Api

COUPONS = "/coupon/acme/coupons"


@pytest.fixture
def manager(service_api: Callable[..., Api]) -> Api:
    """A service that manages coupons."""
    return service_api(scopes.COUPON_MANAGE)


@pytest.fixture
def shop(service_api: Callable[..., Api]) -> Api:
    """A service that redeems coupons for customers."""
    return service_api(scopes.COUPON_REDEEM, scopes.COUPON_REDEEM_ON_BEHALF)


def euros(amount: float) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def order(total: float = 100, discount: float = 10, **members: object) -> JsonObject:
    """A body of a redemption or validation, in euros."""
    return {"orderTotal": euros(total), "discount": euros(discount), **members}


def reasons(answer: HttpResponse) -> list[str]:
    """The types of the reasons of a refusal."""
    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert (body["status"], body["type"]) == (400, "coupon_not_redeemable")
    assert all(set(detail) == {"type", "message"} for detail in body["details"])
    return [detail["type"] for detail in body["details"]]


def faulty_fields(answer: HttpResponse) -> list[str]:
    """The fields that a validation error names."""
    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert (body["status"], body["type"]) == (400, "validation_violation")
    return [detail["field"] for detail in body["details"]]
