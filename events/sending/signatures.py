"""How events are written and signed: by the published rule, and by that of Standard Webhooks."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from decimal import Decimal

import orjson

from core.json_types import JsonObject
from core.text import plain

LARGEST_BODY = 262_144  # bytes
LONGEST_THIN = 200  # characters of a text in a thin event
STANDARD_PREFIX = "whsec_"


def canonical_json(value: object) -> bytes:
    """Return JSON with keys sorted at every level and no blanks.

    Numbers are written as JavaScript does, so that receivers who sort and write it again get the same bytes;
    but whole numbers keep all their digits, of which JavaScript loses some from 2^53 on.
    """
    return orjson.dumps(_with_plain_numbers(value), option=orjson.OPT_SORT_KEYS)


def _with_plain_numbers(value: object) -> object:
    if isinstance(value, float):
        return _as_in_javascript(value)
    if isinstance(value, dict):
        return {key: _with_plain_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_plain_numbers(inner) for inner in value]
    return value


def _as_in_javascript(number: float) -> object:
    """Return what is written as JavaScript writes the number: 1, 0.000001 and 10000000000000000, but 1e-7."""
    if number.is_integer() and abs(number) < 2**53:
        return int(number)
    if 1e-6 <= abs(number) < 1e-5 or 2**53 <= abs(number) < 1e21:  # orjson writes these with an exponent
        return orjson.Fragment(plain(Decimal(repr(number))))
    return number


def event_body(event_type: str, payload: JsonObject) -> bytes:
    """Return the body of an event; of one that is too large, a thin one."""
    body = canonical_json({"type": event_type, "payload": payload})
    if len(body) > LARGEST_BODY:
        body = canonical_json({"type": event_type, "payload": thin(payload)})
    return body


def thin(payload: JsonObject) -> JsonObject:
    """Return only what says which resources an event is about: short values, and ids of objects."""
    kept: JsonObject = {name: value for name, value in payload.items() if is_short(value)}
    for name, value in payload.items():
        if isinstance(value, dict) and is_short(value.get("id")) and value.get("id") is not None:
            kept[name] = {"id": value["id"]}
    return {**dict(list(kept.items())[:100]), "truncated": True}


def is_short(value: object) -> bool:
    return len(value) <= LONGEST_THIN if isinstance(value, str) else not isinstance(value, dict | list)


def published_signature(secret: str, body: bytes) -> str:
    """Return the header emporix-event-signature: base64 of HMAC-SHA256 over the body."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def standard_key(secret: str) -> bytes:
    """Return the key of a secret for Standard Webhooks.

    `whsec_` is followed by the key in base64; any other secret is the key itself, and receivers configure
    `whsec_` and its base64.
    """
    if secret.startswith(STANDARD_PREFIX):
        try:
            if key := base64.b64decode(secret[len(STANDARD_PREFIX) :], validate=True):
                return key
        except binascii.Error:
            pass
    return secret.encode()


def standard_signatures(secrets: Sequence[str], event_id: str, timestamp: int, body: bytes) -> str:
    """Return the header webhook-signature, with one signature for each secret."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(standard_key(secret), signed, hashlib.sha256)).decode()
        for secret in secrets
    )
