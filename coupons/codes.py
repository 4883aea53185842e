"""Coupon codes: one normaliser for every door, and codes that nobody misreads."""

import secrets

from core.sql.statements import Sql
from coupons.errors import InvalidCode
from coupons.models.coupons import LONGEST_CODE

UNAMBIGUOUS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # no 0 and O, no 1, I and L
GENERATED_LENGTH = 10


def normalise_code(text: str, *, case_sensitive: bool) -> str:
    """Return the code as it is stored and compared: trimmed, and in upper case unless case matters."""
    trimmed = text.strip()
    return trimmed if case_sensitive else trimmed.upper()


def check_code(code: str) -> str:
    """Return a normalised code that can be stored and stand in an address; raise InvalidCode otherwise."""
    if not 1 <= len(code) <= LONGEST_CODE:
        raise InvalidCode(f"A code has 1 to {LONGEST_CODE} characters.")
    if "/" in code or code in (".", "..") or not code.isprintable():
        raise InvalidCode("A code holds no slash and no control characters, and is not a dot or two.")
    return code


def generate_code(prefix: str = "") -> str:
    """Return a code that cannot be guessed: some 50 bits out of characters that nobody confuses."""
    return prefix + "".join(secrets.choice(UNAMBIGUOUS) for _ in range(GENERATED_LENGTH))


def has_code(tenant_id: int, text: str, alias: str = "coupon") -> Sql:
    """The condition that a row is the tenant's coupon that a client means by this text."""
    return Sql(
        f"{alias}.tenant_id = %s AND {alias}.code = CASE WHEN (SELECT codes_are_case_sensitive"
        " FROM coupons_couponsettings WHERE tenant_id = %s) THEN %s ELSE %s END",
        (
            tenant_id,
            tenant_id,
            normalise_code(text, case_sensitive=True),
            normalise_code(text, case_sensitive=False),
        ),
    )
