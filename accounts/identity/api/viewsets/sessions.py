"""Anonymous sessions, and customers' logins."""

import re

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.api.viewsets.tokens import not_stored
from accounts.identity.bodies import (
    AnonymousToken,
    CustomerToken,
    LoginRequest,
    RefreshedCustomerToken,
    TokenDetails,
)
from accounts.identity.operations import sessions
from accounts.identity.operations.sessions import GrantedSession
from accounts.models import Customer
from core.addresses import client_address
from core.api.error_bodies import TYPED_ERRORS
from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import read_body
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.tenancy.callers import CallerKind, require_kind

CONTEXT = {"currency": 3, "siteCode": 128, "language": 35, "targetLocation": 2}
PLAIN_TEXT = re.compile(r"[A-Za-z0-9._:~@-]*")
LONGEST_TOKEN = 8_000

TENANT_NAMED = query_parameter("tenant", "The tenant's name.", required=True)
CLIENT_ID = query_parameter("client_id", "The id of a client that may start sessions.", required=True)


def query_text(request: Request, name: str, *, most: int, is_required: bool = False) -> str:
    """Return a query parameter of at most so many characters; raise InvalidInput naming it otherwise."""
    value = request.query_params.get(name, "").strip()
    if not value and is_required:
        raise InvalidInput(f"The parameter {name} is missing.", field=name)
    if len(value) > most:
        raise InvalidInput(f"{name} is longer than {most} characters.", field=name)
    return value


class AnonymousSessionViewSet(ContractViewSet):
    """Sessions of visitors who have not logged in. No token is needed, only a storefront's client id."""

    tag = "Authentication and authorization"
    authentication_classes = ()
    error_format = TYPED_ERRORS

    @operation(
        "GET-oauth-generate-anonymous-access-token",
        is_public=True,
        parameters=(
            TENANT_NAMED,
            CLIENT_ID,
            query_parameter("currency", "The session's currency (ISO 4217)."),
            query_parameter("siteCode", "The session's site."),
            query_parameter("language", "The session's language."),
            query_parameter("targetLocation", "The session's country (ISO 3166-1 alpha-2)."),
        ),
        responses={200: AnonymousToken},
        errors=(401,),
    )
    def login(self, request: Request) -> HttpResponse:
        """Start an anonymous session."""
        context = {name: query_text(request, name, most=most) for name, most in CONTEXT.items()}
        for name, value in context.items():
            if not PLAIN_TEXT.fullmatch(value):
                raise InvalidInput(f"{name} holds characters that it cannot have.", field=name)
        granted = sessions.start_anonymous_session(
            tenant_name=query_text(request, "tenant", most=16, is_required=True),
            client_id=query_text(request, "client_id", most=128, is_required=True),
            context={name: value for name, value in context.items() if value},
            at=self.at,
        )
        return not_stored(json_response(anonymous_token_of(granted), 200))

    @operation(
        "GET-oauth-refresh-anonymous-access-token",
        is_public=True,
        parameters=(
            TENANT_NAMED,
            CLIENT_ID,
            query_parameter("refresh_token", "The session's refresh token; it is good once."),
            query_parameter("anonymous_token", "Deprecated: a former access token of the session."),
        ),
        responses={200: AnonymousToken},
        errors=(401,),
    )
    def refresh(self, request: Request) -> HttpResponse:
        """Go on with an anonymous session.

        The refresh token suffices. The session keeps its id.
        """
        tenant_name = query_text(request, "tenant", most=16, is_required=True)
        client_id = query_text(request, "client_id", most=128, is_required=True)
        refresh_token = query_text(request, "refresh_token", most=sessions.LONGEST_REFRESH_TOKEN)
        anonymous_token = query_text(request, "anonymous_token", most=LONGEST_TOKEN)
        if refresh_token:
            granted = sessions.refresh_anonymous_session(
                tenant_name=tenant_name,
                client_id=client_id,
                refresh_token=refresh_token,
                address=client_address(request._request),
                at=self.at,
            )
        elif anonymous_token:
            granted = sessions.renew_anonymous_access(
                tenant_name=tenant_name, client_id=client_id, access_token=anonymous_token, at=self.at
            )
        else:
            raise InvalidInput("The parameter refresh_token is missing.", field="refresh_token")
        return not_stored(json_response(anonymous_token_of(granted), 200))


class CustomerSessionViewSet(ContractViewSet):
    """Sessions of customers."""

    tag = "Authentication and authorization"
    error_format = TYPED_ERRORS

    @operation(
        "POST-customer-authenticate-customer",
        request=LoginRequest,
        responses={200: CustomerToken},
        errors=(429,),
    )
    def login(self, request: Request, tenant: str) -> HttpResponse:
        """Log a customer in.

        Needs an anonymous access token, whose session becomes the customer's and keeps its id.
        """
        require_kind(self.caller, CallerKind.ANONYMOUS)
        body = read_body(LoginRequest, request.data)
        granted = sessions.log_in(
            caller=self.caller,
            email=body.email,
            password=body.password,
            address=client_address(request._request),
            at=self.at,
        )
        customer = granted.session.customer
        tokens = {
            **customer_token_of(granted),
            "saas_token": granted.saas_token,
            "saasToken": granted.saas_token,
            "initialPassword": bool(customer and customer.has_initial_password),
        }
        return not_stored(json_response(tokens, 200))

    @operation(
        "GET-customer-logout-customer",
        parameters=(
            query_parameter("accessToken", "The customer's access token; absent: the request's own."),
        ),
        responses={204: None},
    )
    def logout(self, request: Request, tenant: str) -> HttpResponse:
        """Log a customer out."""
        token = query_text(request, "accessToken", most=LONGEST_TOKEN)
        if not token:
            require_kind(self.caller, CallerKind.CUSTOMER)
            token = request.META["HTTP_AUTHORIZATION"].partition(" ")[2].strip()
        sessions.end_session(tenant_id=self.caller.tenant.id, access_token=token, at=self.at)
        return HttpResponse(status=204)

    @operation(
        "GET-customer-refresh-authtoken",
        parameters=(
            query_parameter("refreshToken", "The session's refresh token; it is good once.", required=True),
            query_parameter("legalEntityId", "The legal entity that the customer acts for from now on."),
        ),
        responses={200: RefreshedCustomerToken},
    )
    def refresh(self, request: Request, tenant: str) -> HttpResponse:
        """Go on with a customer's session.

        Needs the customer's access token or an anonymous one. The session keeps its id.
        """
        granted = sessions.refresh_customer_session(
            tenant_id=self.caller.tenant.id,
            refresh_token=query_text(
                request, "refreshToken", most=sessions.LONGEST_REFRESH_TOKEN, is_required=True
            ),
            legal_entity_id=query_text(request, "legalEntityId", most=128),
            address=client_address(request._request),
            at=self.at,
        )
        return not_stored(json_response(customer_token_of(granted), 200))

    @operation("GET-customer-validate-token", responses={200: TokenDetails})
    def validate(self, request: Request, tenant: str) -> HttpResponse:
        """Validate an access token."""
        caller = self.caller
        body: JsonObject = {
            "token_type": "Bearer",
            "expires_in": int((caller.expires_at - self.at).total_seconds()),
            "scope": " ".join([*sorted(caller.scopes), f"tenant={caller.tenant.name}"]),
        }
        if caller.session_id:
            body["sessionId"] = caller.session_id
        if caller.customer:
            email = Customer.objects.values_list("email", flat=True).get(pk=caller.customer.id)
            if email:
                body["email"] = email
        if caller.legal_entity:
            body["legalEntityId"] = caller.legal_entity.external_id
        return not_stored(json_response(body, 200))


def anonymous_token_of(granted: GrantedSession) -> JsonObject:
    """Return an anonymous session's tokens; without a refresh token when it has got no new one."""
    body: JsonObject = {
        "token_type": "Bearer",
        "access_token": granted.access_token,
        "expires_in": granted.expires_in,
        "sessionId": str(granted.session.session_id),
        "scope": f"tenant={granted.session.tenant.name}",
        "accessToken": granted.access_token,
        "expiresIn": granted.expires_in,
    }
    if granted.refresh_token:
        body["refresh_token"] = granted.refresh_token
        body["refresh_token_expires_in"] = granted.refresh_token_expires_in
        body["refreshToken"] = granted.refresh_token
    return body


def customer_token_of(granted: GrantedSession) -> JsonObject:
    """Return a customer's tokens, each under its present and its deprecated name."""
    return {
        "token_type": "Bearer",
        "access_token": granted.access_token,
        "expires_in": granted.expires_in,
        "refresh_token": granted.refresh_token,
        "refresh_token_expires_in": granted.refresh_token_expires_in,
        "session_id": str(granted.session.session_id),
        "accessToken": granted.access_token,
        "expiresIn": granted.expires_in,
        "refreshToken": granted.refresh_token,
        "refreshTokenExpiresIn": granted.refresh_token_expires_in,
    }
