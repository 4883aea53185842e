"""Amounts of money: decimal everywhere, rounded half up to the currency's minor unit where a rule rounds."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

FINEST = Decimal("0.000001")
"""What the service stores: six decimal places, more than any currency has."""

CURRENCY = re.compile(r"[A-Z]{3}")
"""The letters of a currency. Use `fullmatch`."""

LARGEST_AMOUNT = Decimal(1_000_000_000_000)

# ISO 4217: currencies whose minor unit is not a hundredth.
DECIMAL_PLACES = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"), 0
    ),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency, named by its ISO 4217 letters."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency}"


def round_to_minor_unit(amount: Decimal, currency: str) -> Decimal:
    """Return the amount as the currency can be paid: 0.005 EUR is 0.01, 0.5 JPY is 1."""
    places = DECIMAL_PLACES.get(currency, 2)
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def plain(amount: Decimal) -> str:
    """Return the amount without an exponent and without zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
