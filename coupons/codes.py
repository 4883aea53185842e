"""Codes that coupons can have, and codes that nobody misreads."""

import secrets

from core.text import invisible_character
from coupons.errors import InvalidCode
from coupons.models.coupons import LONGEST_CODE

UNAMBIGUOUS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # no 0 and O, no 1, I and L
GENERATED_LENGTH = 10
CAMPAIGN_LENGTH = 13  # of 31 characters: 64 bits, as a guesser may hit any of 100,000 codes


def check_code(code: str) -> str:
    """Return a normalised code that can be stored and be part of an address; raise InvalidCode otherwise."""
    if not 1 <= len(code) <= LONGEST_CODE:
        raise InvalidCode(f"A code has 1 to {LONGEST_CODE} characters.")
    if "/" in code or code in (".", ".."):
        raise InvalidCode("A code must not contain a slash, and must not be . or ..")
    if not code.isprintable():
        found = invisible_character(code) or "character that cannot be printed"
        raise InvalidCode(f"A code must not contain what nobody sees: {found}. Type the code again.")
    return code


def generate_code(prefix: str = "") -> str:
    """Return a code that cannot be guessed: some 50 bits out of characters that nobody confuses."""
    return prefix + "".join(secrets.choice(UNAMBIGUOUS) for _ in range(GENERATED_LENGTH))


def generate_campaign_codes(count: int, prefix: str) -> list[str]:
    """Return so many different codes that cannot be guessed, though one of many would do."""
    codes: set[str] = set()
    while len(codes) < count:
        codes.add(prefix + "".join(secrets.choice(UNAMBIGUOUS) for _ in range(CAMPAIGN_LENGTH)))
    return list(codes)
