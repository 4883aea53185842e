"""Secrets that mean nothing: client secrets and refresh tokens. Only their digests are kept."""

import hashlib
import hmac
import secrets


def new_opaque_token() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest_of(text: str) -> str:
    """Return the SHA-256 digest: with 256 random bits behind it, a slow hash would make nothing safer."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_digest_of(text: str, digest: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(digest_of(text), digest)
