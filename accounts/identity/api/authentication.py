"""Turns the bearer token of a request into its caller."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.identity.tokens import verify_access_token
from core.tenancy.callers import Caller


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; without the header there is no caller."""

    def authenticate(self, request: Request) -> tuple[None, Caller] | None:
        header = request._request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return None, verify_access_token(token.strip(), at=timezone.now())

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
