"""Amounts of money: decimal everywhere, rounded half up to the currency's minor unit where a rule rounds."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from msgspec import Meta, Struct, field

from core.bodies import MESSAGE, ExactNumber
from core.text import plain

LARGEST_AMOUNT = Decimal(1_000_000_000_000)

CURRENCY = r"^[A-Z]{3}$(?!\n)"
CURRENCY_CODE = re.compile(CURRENCY)

# ISO 4217: currencies whose minor unit is not a hundredth.
DECIMAL_PLACES = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"), 0
    ),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


class Amount(ExactNumber):
    """An amount of money in a body, or a quantity: a number from 0 to LARGEST_AMOUNT."""

    largest = LARGEST_AMOUNT


class Percentage(ExactNumber):
    """A number from 0 to 100."""

    largest = Decimal(100)


class Money(Struct, frozen=True):
    """An amount in a currency, named by its ISO 4217 letters."""

    amount: Annotated[Amount, Meta(description="The amount in the currency; 0 when absent.")] = field(
        default_factory=Amount
    )
    currency: Annotated[
        str,
        Meta(
            pattern=CURRENCY,
            description="The currency's ISO 4217 code, such as EUR.",
            extra={MESSAGE: "must be the three upper-case letters of a currency"},
        ),
    ] = "USD"

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency}"


def stored_money(amount: Decimal | None, currency: str | None) -> Money | None:
    """Return the money of two columns; None when they are empty."""
    return None if amount is None or currency is None else Money(Amount(amount), currency)


def round_to_minor_unit(amount: Decimal, currency: str) -> Decimal:
    """Return the amount as the currency can be paid: 0.005 EUR is 0.01, 0.5 JPY is 1."""
    places = DECIMAL_PLACES.get(currency, 2)
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def in_minor_units(amount: Decimal, currency: str) -> Decimal:
    """Return the amount in the currency's minor unit: 1.5 EUR is 150."""
    return amount.scaleb(DECIMAL_PLACES.get(currency, 2))


def of_minor_units(units: int, currency: str) -> Decimal:
    """Return so many of the currency's minor unit as an amount."""
    return Decimal(units).scaleb(-DECIMAL_PLACES.get(currency, 2))
