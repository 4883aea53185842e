"""Turns the bearer token of a request into its caller."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.identity.tokens.verification import AcceptedToken, accept_token
from core.tenancy.callers import Caller


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; without the header `request.user` is DRF's AnonymousUser.

    Otherwise `request.user` is the caller, and `request.auth` the accepted token with its claims.
    """

    def authenticate(self, request: Request) -> tuple[Caller, AcceptedToken] | None:
        header = request._request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        accepted = accept_token(token.strip(), at=timezone.now())
        return accepted.caller, accepted

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
