"""Service tokens, and the keys that verify every token."""

import base64
import binascii
from http import HTTPStatus
from urllib.parse import unquote_plus

from django.http import HttpResponse
from django.http.request import QueryDict
from rest_framework.parsers import FormParser
from rest_framework.request import Request

from accounts.errors import TokenRequestRefused
from accounts.identity.bodies import JsonWebKeySet, OAuthError, ServiceToken, ServiceTokenRequest
from accounts.identity.operations.clients import grant_service_token
from accounts.identity.tokens.keys import published_keys
from core.addresses import client_address
from core.api.error_bodies import ErrorFormat
from core.api.json import json_response
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import DomainError, TooManyAttempts, Unavailable
from core.json_types import JsonObject

LONGEST_PARAMETER = 4_000
SESSION_IDLE_TIME = 120  # seconds; a field of the published shape; nothing here ends for being idle


def oauth_error_body(error: DomainError, status: HTTPStatus) -> JsonObject:
    """`{error, error_description}`: RFC 6749, for what goes wrong outside the request for a token itself."""
    if isinstance(error, Unavailable):
        code = "temporarily_unavailable"
    else:
        code = "invalid_request" if status < 500 else "server_error"
    return {"error": code, "error_description": error.message}


OAUTH_ERRORS = ErrorFormat(oauth_error_body, OAuthError)


class ServiceTokenViewSet(ContractViewSet):
    """`POST /oauth/token`: access tokens for programs (RFC 6749, client credentials)."""

    tag = "Service Access Token"
    error_format = OAUTH_ERRORS
    authentication_classes = ()
    parser_classes = (FormParser,)

    @operation(
        "POST-oauth-request-client-credentials",
        is_public=True,
        request={"application/x-www-form-urlencoded": ServiceTokenRequest},
        responses={200: ServiceToken, 401: OAuthError},
        errors=(429,),
    )
    def create(self, request: Request) -> HttpResponse:
        """Request a service access token.

        The client names itself in the body or by HTTP Basic. Errors are those of RFC 6749.
        """
        try:
            form = read_form(request)
            client_id, client_secret = credentials_of(form, request.META.get("HTTP_AUTHORIZATION", ""))
            grant_type = form.get("grant_type")
            if not grant_type:
                raise TokenRequestRefused("invalid_request", "The parameter grant_type is missing.")
            if grant_type != "client_credentials":
                raise TokenRequestRefused("unsupported_grant_type", "Send grant_type=client_credentials.")
            token = grant_service_token(
                client_id=client_id,
                client_secret=client_secret,
                scope=form.get("scope", ""),
                address=client_address(request._request),
                at=self.at,
            )
        except TokenRequestRefused as refused:
            return refusal(refused)
        except TooManyAttempts as refused:
            return too_many_attempts(refused)
        return not_stored(
            json_response(
                {
                    "access_token": token.access_token,
                    "token_type": "Bearer",
                    "expires_in": token.expires_in,
                    "session_idle_time": SESSION_IDLE_TIME,
                    "refresh_token": "",
                    "refresh_token_expires_in": 0,
                    "scope": " ".join([f"tenant={token.tenant_name}", *token.scopes]),
                },
                200,
            )
        )


class KeySetViewSet(ContractViewSet):
    """The public keys of all tokens that may still be good."""

    tag = "Service Access Token"
    has_page_parameters = False
    authentication_classes = ()

    @operation("GET-jwks", is_public=True, responses={200: JsonWebKeySet})
    def retrieve(self, request: Request) -> HttpResponse:
        """Retrieve the keys that verify access tokens.

        An extension: a JSON Web Key Set (RFC 7517).
        """
        answer = json_response({"keys": published_keys(self.at)}, 200)
        answer["Cache-Control"] = "public, max-age=300"
        return answer


def read_form(request: Request) -> dict[str, str]:
    """Return the parameters of a form, each sent once and of a bounded length."""
    media_type = str(request.content_type or "").partition(";")[0].strip().lower()
    data = request.data
    if media_type.endswith("json") or media_type.startswith("multipart/") or not isinstance(data, QueryDict):
        raise TokenRequestRefused(
            "invalid_request",
            f"Send the parameters as a form, with Content-Type {FormParser.media_type}, not as"
            f" {media_type[:100] or 'something else'}.",
        )
    for name, values in data.lists():
        if len(values) > 1:
            raise TokenRequestRefused("invalid_request", f"The parameter {name[:40]} is sent more than once.")
        if len(str(values[0])) > LONGEST_PARAMETER or "\x00" in str(values[0]):
            raise TokenRequestRefused("invalid_request", f"The parameter {name[:40]} is not acceptable.")
    return {name: str(value) for name, value in data.items()}


def credentials_of(form: dict[str, str], authorization: str) -> tuple[str, str]:
    """Return client id and secret, out of the form or of HTTP Basic; both at once are refused."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        if not form.get("client_id") or not form.get("client_secret"):
            raise TokenRequestRefused("invalid_client", "The request does not say which client sends it.")
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise TokenRequestRefused("invalid_request", "Send the secret once: in the form or by HTTP Basic.")
    try:
        client_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise TokenRequestRefused("invalid_client", "The header Authorization is malformed.") from None
    client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    if "\x00" in client_id or form.get("client_id", client_id) != client_id:
        raise TokenRequestRefused("invalid_request", "The form and HTTP Basic name different clients.")
    return client_id, secret


def refusal(refused: TokenRequestRefused) -> HttpResponse:
    """Answer as RFC 6749 says: 401 when the client is not known, else 400."""
    body = {"error": refused.code, "error_description": refused.message}
    if refused.code != "invalid_client":
        return not_stored(json_response(body, 400))
    answer = json_response(body, 401)
    answer["WWW-Authenticate"] = 'Basic realm="oauth"'
    return not_stored(answer)


def too_many_attempts(refused: TooManyAttempts) -> HttpResponse:
    """Answer in the shape of RFC 6749, which names no code for this."""
    body = {"error": "too_many_requests", "error_description": refused.message}
    answer = not_stored(json_response(body, 429))
    answer["Retry-After"] = str(refused.retry_after)
    return answer


def not_stored(answer: HttpResponse) -> HttpResponse:
    """Forbid every cache to keep the answer."""
    answer["Cache-Control"] = "no-store"
    answer["Pragma"] = "no-cache"
    return answer
