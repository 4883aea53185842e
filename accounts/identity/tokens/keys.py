"""The key pairs that sign tokens: kept in the database, cached in process."""

import base64
import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from django.conf import settings
from django.db import transaction
from django.utils.encoding import force_bytes

from accounts.errors import NoSigningKey
from accounts.identity.models import SigningKey
from core.json_types import JsonObject
from core.sql.locks import Lock, take_lock
from core.tenancy.identifiers import generate_id

ALGORITHM = "RS256"
KEY_BITS = 2048
CACHE_SECONDS = 60
LEAST_SECONDS_BETWEEN_LOADS = 5  # a flood of tokens with made-up key ids must not become one of statements
UNREADABLE_KEY = "The key that signs tokens cannot be decrypted with this SECRET_KEY."
UNREADABLE_KEY_REMEDY = (
    "Set the SECRET_KEY that it was made with, or run `manage.py rotate_signing_keys` to sign with new keys."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys at one moment: the one that signs, and all that may have signed, by key id."""

    active: SigningKey
    public_keys: dict[str, RSAPublicKey]
    loaded_at: float

    @property
    def active_kid(self) -> str:
        return self.active.kid

    @property
    def private_key(self) -> RSAPrivateKey:
        return private_keys.find(self.active)


class PrivateKeys:
    """The private key that this process signs with, decrypted when it signs first: that takes long."""

    def __init__(self) -> None:
        self._known: dict[str, RSAPrivateKey] = {}

    def find(self, row: SigningKey) -> RSAPrivateKey:
        key = self._known.get(row.private_key)
        if key is None:
            key = decrypted(row)
            self._known = {row.private_key: key}
        return key


private_keys = PrivateKeys()


class KeyCache:
    """The key ring of this process, read again from the database when it is older than a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring: KeyRing | None = None

    def ring(self, *, older_than: float = CACHE_SECONDS) -> KeyRing:
        """Return the keys as they were at most `older_than` seconds ago."""
        ring = self._ring
        if ring is not None and time.monotonic() - ring.loaded_at < older_than:
            return ring
        with self._lock:
            if self._ring is ring or self._ring is None:
                self._ring = self._load()
            return self._ring

    def public_key(self, kid: str) -> RSAPublicKey | None:
        """Return the public key of this id; None when there is no such key (any more)."""
        key = self.ring().public_keys.get(kid)
        if key is None:
            key = self.ring(older_than=LEAST_SECONDS_BETWEEN_LOADS).public_keys.get(kid)
        return key

    def forget(self) -> None:
        """Read the keys again when they are needed next."""
        self._ring = None

    def _load(self) -> KeyRing:
        rows = list(SigningKey.objects.order_by("id")) or create_first_keys()
        return KeyRing(
            active=next(row for row in rows if row.status == "active"),
            public_keys={row.kid: public_key_of(row) for row in rows},
            loaded_at=time.monotonic(),
        )


signing_keys = KeyCache()


def new_signing_key(*, status: str, at: datetime | None = None) -> SigningKey:
    """Return a new key pair, not yet saved."""
    private_key = generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    kid = generate_id()
    public_key = {
        **jwt.algorithms.RSAAlgorithm.to_jwk(private_key.public_key(), as_dict=True),
        "kid": kid,
        "use": "sig",
        "alg": ALGORITHM,
    }
    public_key.pop("key_ops", None)
    row = SigningKey(kid=kid, status=status, private_key=encrypted(private_key), public_key=public_key)
    if at is not None:
        row.created_at = at
    return row


@transaction.atomic
def create_first_keys() -> list[SigningKey]:
    """Make the active key and the next one, unless another process has just done so."""
    take_lock(Lock.SIGNING_KEYS)
    if stored := list(SigningKey.objects.order_by("id")):
        return stored
    keys = [new_signing_key(status="active"), new_signing_key(status="next")]
    return SigningKey.objects.bulk_create(keys)


def published_keys(at: datetime) -> list[JsonObject]:
    """Return the public keys of all tokens that are still good at `at`, as JSON Web Keys."""
    signing_keys.ring()
    return [
        row.public_key
        for row in SigningKey.objects.order_by("id")
        if row.retired_at is None or row.retired_at >= needed_since(at)
    ]


def needed_since(at: datetime) -> datetime:
    """Return since when a key must have been retired for none of its tokens to be good at `at`."""
    longest = max(
        settings.SERVICE_TOKEN_LIFETIME, settings.CUSTOMER_TOKEN_LIFETIME, settings.ANONYMOUS_TOKEN_LIFETIME
    )
    # Other processes may have signed with a retired key until they read the keys again.
    return at - timedelta(seconds=longest + CACHE_SECONDS)


def passphrase(secret_key: str | bytes) -> bytes:
    digest = hashlib.sha256(b"token signing keys " + force_bytes(secret_key)).digest()
    return base64.b64encode(digest)


def encrypted(private_key: RSAPrivateKey) -> str:
    return private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase(settings.SECRET_KEY)),
    ).decode()


def is_readable(row: SigningKey) -> bool:
    """Say whether the service's secret key, or a former one, decrypts the private key."""
    return _decrypt(row) is not None


def has_unreadable_key() -> bool:
    """Say whether tokens cannot be signed: the active key was made with another secret key."""
    active = SigningKey.objects.filter(status="active").first()
    return active is not None and not is_readable(active)


def decrypted(row: SigningKey) -> RSAPrivateKey:
    """Return the private key; raise NoSigningKey when no secret key of the settings decrypts it."""
    private_key = _decrypt(row)
    if private_key is None:
        logger.error("%s %s", UNREADABLE_KEY, UNREADABLE_KEY_REMEDY)
        raise NoSigningKey
    return private_key


def _decrypt(row: SigningKey) -> RSAPrivateKey | None:
    for secret_key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            key = serialization.load_pem_private_key(row.private_key.encode(), passphrase(secret_key))
        except ValueError:
            continue  # encrypted with another secret key
        return cast(RSAPrivateKey, key)
    return None


def public_key_of(row: SigningKey) -> RSAPublicKey:
    return cast(RSAPublicKey, jwt.algorithms.RSAAlgorithm.from_jwk(row.public_key))
