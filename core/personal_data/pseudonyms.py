"""Keyed hashes: without SECRET_KEY they show only whether two values are the same."""

import hashlib
import hmac
from functools import lru_cache

from django.conf import settings

PREFIX = "erased-"


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"erasure of personal data\0" + secret.encode()).digest()


def keyed_hash(kind: str, tenant_id: int, value: str) -> str:
    """Return 64 hexadecimal digits for the value of this kind in this tenant."""
    text = f"{kind}\0{tenant_id}\0{value}".encode("utf-8", "surrogatepass")
    return hmac.digest(_key(settings.SECRET_KEY), text, "sha256").hex()


def pseudonym_of(tenant_id: int, number: str) -> str:
    """Return what takes the place of a customer number: always the same for the same number."""
    return PREFIX + keyed_hash("pseudonym", tenant_id, number)[:32]
