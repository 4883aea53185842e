"""Verifiers of password hashes that other systems made; settings.LEGACY_PASSWORD_VERIFIERS names them.

A verifier is a class with two static methods. `check(hash, context)` raises ValueError, with a sentence, for
what cannot be such a hash; `matches(password, hash, context)` says whether the password was hashed to it.
docs/passwords.md has a test vector of each.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from core.errors import InvalidInput


class Verifier(Protocol):
    """What settings.LEGACY_PASSWORD_VERIFIERS holds the dotted path of."""

    @staticmethod
    def check(hash: str, context: Mapping[str, str]) -> None: ...

    @staticmethod
    def matches(password: str, hash: str, context: Mapping[str, str]) -> bool: ...


class Phpass:
    """Portable hashes of phpass, as WordPress and phpBB made them: `$P$`, cost, 8 characters of salt, 22."""

    FORM = re.compile(r"\$[PH]\$([./0-9A-Za-z])([./0-9A-Za-z]{8})([./0-9A-Za-z]{22})")
    ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    COSTS = range(7, 19)  # more rounds than 2 ** 18 keep a core busy for longer than our own hashes

    @staticmethod
    def check(hash: str, context: Mapping[str, str]) -> None:
        found = Phpass.FORM.fullmatch(hash)
        if found is None or Phpass.ALPHABET.index(found[1]) not in Phpass.COSTS:
            raise ValueError("A hash of phpass has 34 characters and begins with $P$ or $H$.")

    @staticmethod
    def matches(password: str, hash: str, context: Mapping[str, str]) -> bool:
        found = Phpass.FORM.fullmatch(hash)
        if found is None:
            return False
        secret = password.encode()
        digest = hashlib.md5(found[2].encode() + secret).digest()  # noqa: S324 - their algorithm
        for _ in range(1 << Phpass.ALPHABET.index(found[1])):
            digest = hashlib.md5(digest + secret).digest()  # noqa: S324
        return hmac.compare_digest(Phpass.encoded(digest), found[3])

    @staticmethod
    def encoded(digest: bytes) -> str:
        """Return the digest in phpass's own base64: little-endian, without padding."""
        number = int.from_bytes(digest, "little")
        return "".join(Phpass.ALPHABET[number >> 6 * index & 63] for index in range(22))


class LdapSaltedSha1:
    """`{SSHA}` of LDAP servers: base64 of the SHA-1 of password and salt, followed by the salt."""

    PREFIX = "{SSHA}"

    @staticmethod
    def parts(hash: str) -> tuple[bytes, bytes]:
        """Return the digest and the salt; raise ValueError for anything else."""
        try:
            decoded = base64.b64decode(hash.removeprefix(LdapSaltedSha1.PREFIX), validate=True)
        except binascii.Error:
            decoded = b""
        if not hash.startswith(LdapSaltedSha1.PREFIX) or not 4 <= len(decoded) - 20 <= 64:
            raise ValueError("A hash of LDAP is {SSHA} and base64 of 20 bytes and 4 to 64 bytes of salt.")
        return decoded[:20], decoded[20:]

    @staticmethod
    def check(hash: str, context: Mapping[str, str]) -> None:
        LdapSaltedSha1.parts(hash)

    @staticmethod
    def matches(password: str, hash: str, context: Mapping[str, str]) -> bool:
        digest, salt = LdapSaltedSha1.parts(hash)
        found = hashlib.sha1(password.encode() + salt).digest()  # noqa: S324 - their algorithm
        return hmac.compare_digest(found, digest)


@cache
def imported(path: str) -> Verifier:
    verifier: Verifier = import_string(path)
    return verifier


def verifier_of(algorithm: str) -> Verifier | None:
    """Return the verifier that the settings name for the algorithm; None when they name none."""
    path = settings.LEGACY_PASSWORD_VERIFIERS.get(algorithm)
    return imported(path) if path else None


def check_legacy_hash(algorithm: str, hash: str, context: Mapping[str, str]) -> None:
    """Raise InvalidInput when no verifier could ever accept a password for this hash."""
    verifier = verifier_of(algorithm)
    if verifier is None:
        known = ", ".join(sorted(settings.LEGACY_PASSWORD_VERIFIERS)) or "none"
        raise InvalidInput(
            f"There is no verifier for the algorithm {algorithm}; this service has: {known}.",
            field="account.legacyAuth.algorithm",
        )
    try:
        verifier.check(hash, context)
    except ValueError as refused:
        raise InvalidInput(str(refused), field="account.legacyAuth.hash") from None
