"""Login of staff through an OpenID provider. Needs requirements-oidc.txt; see docs/staff-login.md."""

import logging

import jwt
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView
from requests import RequestException

from accounts.models import User
from core.admin.site import page_after_login
from core.json_types import JsonObject

logger = logging.getLogger(__name__)

REFUSED = (
    "The login through {provider} did not work. Your account there needs a verified e-mail address that"
    " exactly one active member of staff has here. Try again, or ask an administrator."
)


class StaffBackend(OIDCAuthenticationBackend):
    """Finds the member of staff with the verified e-mail address of the provider. Creates nobody."""

    def authenticate(self, request: object, **options: object) -> object:
        """Return the user; None, after a line in the log, for whatever the provider sent that is wrong."""
        try:
            return super().authenticate(request, **options)
        except (RequestException, SuspiciousOperation, jwt.InvalidTokenError, KeyError, ValueError) as fault:
            logger.warning("A login through the OpenID provider failed: %s", fault)
            return None

    def verify_token(self, token: str, **options: object) -> object:
        """Check issuer and audience too, which the base class leaves out."""
        payload = super().verify_token(token, **options)
        audience = payload.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if payload.get("iss") != settings.OIDC_ISSUER:
            raise SuspiciousOperation("The token is of another issuer than OIDC_ISSUER.")
        if settings.OIDC_RP_CLIENT_ID not in audiences:
            raise SuspiciousOperation("The token is for another client than OIDC_CLIENT_ID.")
        return payload

    def get_userinfo(self, access_token: str, id_token: str, payload: JsonObject) -> object:
        claims = super().get_userinfo(access_token, id_token, payload)
        if claims.get("sub") != payload.get("sub"):
            raise SuspiciousOperation("The provider described another user than the token's.")
        return claims

    def verify_claims(self, claims: JsonObject) -> bool:
        is_verified = claims.get("email_verified") is True or not settings.OIDC_REQUIRE_VERIFIED_EMAIL
        return bool(claims.get("email")) and is_verified

    def filter_users_by_claims(self, claims: JsonObject) -> QuerySet[User]:
        return User.objects.filter(email__iexact=claims["email"], is_staff=True, is_active=True)


class StaffCallback(OIDCAuthenticationCallbackView):
    """Where the provider sends the browser back to."""

    @property
    def success_url(self) -> str:
        return page_after_login(super().success_url)

    def login_failure(self) -> HttpResponse:
        messages.error(self.request, REFUSED.format(provider=settings.OIDC_PROVIDER_NAME))
        return HttpResponseRedirect(reverse("admin:login"))
