"""Amounts of money and percentages as people read them."""

from decimal import Decimal

from django.utils.formats import number_format

from core.admin.forms import decimal_text
from core.text import plain
from coupons.money import DECIMAL_PLACES


def money_text(amount: Decimal | None, currency: str | None) -> str:
    """Return the amount with at least the decimal places that its currency has; empty when there is none."""
    if amount is None or currency is None:
        return ""
    places = max(DECIMAL_PLACES.get(currency, 2), len(plain(amount).partition(".")[2]))
    return f"{number_format(amount, places, use_l10n=True, force_grouping=True)} {currency}"


def percentage_text(percentage: Decimal) -> str:
    return f"{decimal_text(percentage)} %"
