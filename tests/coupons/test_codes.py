import importlib

import pytest
from django.apps import apps
from django.db import connection

from coupons.codes import check_code
from coupons.eligibility_queries import normalise_code
from coupons.errors import InvalidCode
from coupons.models import Coupon
from tests.coupons.conftest import COUPONS
from tests.factories.coupons import CouponFactory

# What people paste: blanks, no-break spaces, invisible characters, quotes of a word processor.
WRITTEN = [
    " summer ",
    "\u00a0summer\u00a0",
    "\u200bsummer\ufeff",
    "\u2060\u200esummer\u00ad",
    "“summer”",
    "„summer“",
    "‘Summer’",
    "« summer »",
    "\tSUMMER\r\n",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_copying_adds_is_trimmed(text):
    assert normalise_code(text, case_sensitive=False) == "SUMMER"


@pytest.mark.parametrize(
    ("text", "folded", "kept"),
    [
        ("cafe\u0301", "CAFÉ", "café"),
        ("SUMMER SALE", "SUMMER SALE", "SUMMER SALE"),
        ("it’s", "IT’S", "it’s"),
        ('"a"', '"A"', '"a"'),
        ("\u200b", "", ""),
    ],
)
def test_codes_are_compared_in_nfc_and_upper_case(text, folded, kept):
    assert normalise_code(text, case_sensitive=False) == folded
    assert normalise_code(text, case_sensitive=True) == kept


def test_invisible_character_inside_a_code_is_named():
    with pytest.raises(InvalidCode, match=r"ZERO WIDTH SPACE \(U\+200B\)"):
        check_code("SUM\u200bMER")


@pytest.mark.parametrize("text", [*WRITTEN[1:-1], "summer"])
def test_every_operation_of_the_api_takes_the_code_as_it_was_pasted(manager, shop, text):
    made = manager.post(COUPONS, {"name": "Ten", "code": text, "discountAbsolute": {"amount": 10}})
    assert made.json() == {"id": "SUMMER"}
    path = f"{COUPONS}/{text}"
    assert manager.get(path).json()["code"] == "SUMMER"
    assert manager.patch(path, {"allowAnonymous": True}).status_code == 200
    body = {"orderTotal": {"amount": 20}, "discount": {"amount": 5}}
    assert shop.post(f"{path}/validation", body).status_code == 200
    assert shop.post(f"{path}/redemptions", body).status_code == 201
    assert len(manager.get(f"{path}/redemptions").json()) == 1
    assert manager.delete(path).status_code == 204


def test_stored_codes_are_normalized_and_doubles_named(tenant, capsys):
    for code in ("CAFE\u0301", "“QUOTED”", "“TAKEN”", "TAKEN", "É"):
        CouponFactory(tenant=tenant, code=code)
    importlib.import_module("coupons.migrations.0002_normalize_codes").normalize_codes(
        apps, connection.schema_editor()
    )
    assert list(Coupon.objects.values_list("code", flat=True)) == ["CAFÉ", "QUOTED", "“TAKEN”", "TAKEN", "É"]
    printed = capsys.readouterr().out
    assert "The coupon '“TAKEN”' of acme" in printed
    assert "QUOTED" not in printed
