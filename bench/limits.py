"""The limits: bare views, without DRF, authentication, middleware or URL resolver.

The benchmark's server answers them beside the API, in the same process.
"""

import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from itertools import count

import jwt
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from psycopg import Cursor

from accounts.identity.tokens.keys import signing_keys
from bench.replays import FreshId, Replay
from core.tenancy.identifiers import generate_id

PREFIX = "/limits/"


class BareViews:
    """Answers what lies below PREFIX before anything else of the project sees the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(PREFIX):
            return view_of(request.path_info.removeprefix(PREFIX))(request)
        return self.get_response(request)


@cache
def view_of(name: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return the bare view of this name; it is built at its first request."""
    match name:
        case "empty":
            return empty
        case "signature":
            return signature
        case "process":
            return process
    return replaying(read_replays(name))


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"")


def process(request: HttpRequest) -> HttpResponse:
    """Answer the id of this web worker's process: its server has other children too."""
    return HttpResponse(f"{os.getpid()}")


def signature(request: HttpRequest) -> HttpResponse:
    """Sign one token with as many claims as a service token has, and return it."""
    ring = signing_keys.ring()
    issued_at = datetime.now(UTC).timestamp()
    claims = {
        "iss": settings.TOKEN_ISSUER,
        "tenant": "benchshop",
        "iat": issued_at,
        "exp": int(issued_at) + settings.SERVICE_TOKEN_LIFETIME,
        "jti": generate_id(),
        "sub": "benchshop-backend",
        "kind": "service",
        "client_id": "benchshop-backend",
        "scope": "customersegment.segment_read",
    }
    token = jwt.encode(claims, ring.private_key, algorithm="RS256", headers={"kid": ring.active_kid})
    return HttpResponse(f'{{"access_token":"{token}"}}', content_type="application/json")


def replaying(replays: list[Replay]) -> Callable[[HttpRequest], HttpResponse]:
    """Return a view that sends the statements of the replays in turn, and answers the bytes they led to."""
    turns = count()

    def view(request: HttpRequest) -> HttpResponse:
        replay = replays[next(turns) % len(replays)]
        if any(statement.writes_rows for statement in replay.statements):
            with transaction.atomic():
                send(replay)
        else:
            send(replay)
        return HttpResponse(
            replay.body, status=replay.status, content_type=replay.headers.get("Content-Type", "")
        )

    return view


def send(replay: Replay) -> None:
    """Send the statements as the operation does, and fetch all their rows."""
    fresh = generate_id()
    with connection.cursor() as cursor:
        django_cursor = cursor.cursor
        for statement in replay.statements:
            with_id = statement.with_params(lambda value: fresh if value is FreshId else value)
            cursor.cursor = Cursor(connection.connection) if statement.prepared else django_cursor
            cursor.execute(with_id.sql, with_id.params)
            if cursor.description:
                cursor.fetchall()


def write_replays(name: str, replays: list[Replay]) -> None:
    """Leave the replays of a case where its bare view finds them."""
    settings.LIMITS_FOLDER.mkdir(parents=True, exist_ok=True)
    with (settings.LIMITS_FOLDER / f"{name}.pickle").open("wb") as file:
        pickle.dump(replays, file)


def read_replays(name: str) -> list[Replay]:
    with (settings.LIMITS_FOLDER / f"{name}.pickle").open("rb") as file:
        return pickle.load(file)
