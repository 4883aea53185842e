"""Passwords of customers, and logins by other identity providers, of which no tenant has one."""

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.errors import NoIdentityProvider
from accounts.identity.api.viewsets.sessions import LONGEST_TOKEN, query_text
from accounts.identity.bodies import (
    CustomerToken,
    ExchangedToken,
    PasswordChange,
    PasswordReset,
    PasswordResetRequest,
)
from accounts.identity.operations import passwords
from core.addresses import client_address
from core.api.error_bodies import TYPED_ERRORS
from core.api.parameters import header_parameter, query_parameter
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import read_body
from core.tenancy.callers import CallerKind, customer_of, require_kind


class PasswordViewSet(ContractViewSet):
    tag = "Credentials"
    error_format = TYPED_ERRORS

    @operation(
        "POST-customer-change-account-password",
        request=PasswordChange,
        responses={204: None},
        errors=(429,),
    )
    def change(self, request: Request, tenant: str) -> HttpResponse:
        """Change one's own password.

        Needs a customer's access token. The other sessions of the customer end.
        """
        own = customer_of(self.caller)
        body = read_body(PasswordChange, request.data)
        passwords.change_password(
            tenant_id=self.caller.tenant.id,
            customer_id=own.id,
            session_id=self.caller.session_id,
            current_password=body.current_password,
            new_password=body.new_password,
            address=client_address(request._request),
            at=self.at,
        )
        return HttpResponse(status=204)

    @operation(
        "POST-customer-request-reset-password",
        request=PasswordResetRequest,
        responses={204: None},
        errors=(429,),
    )
    def request_reset(self, request: Request, tenant: str) -> HttpResponse:
        """Request a token that sets a new password.

        Needs an anonymous access token. The token comes by e-mail; the answer does not say whether the e-mail
        is a customer's.
        """
        require_kind(self.caller, CallerKind.ANONYMOUS)
        passwords.request_password_reset(
            tenant_id=self.caller.tenant.id,
            email=read_body(PasswordResetRequest, request.data).email,
            address=client_address(request._request),
            at=self.at,
        )
        return HttpResponse(status=204)

    @operation(
        "POST-customer-reset-password",
        request=PasswordReset,
        responses={204: None},
        errors=(429,),
    )
    def reset(self, request: Request, tenant: str) -> HttpResponse:
        """Set a new password with the token that came by e-mail.

        Needs an anonymous access token. All sessions of the customer end.
        """
        require_kind(self.caller, CallerKind.ANONYMOUS)
        body = read_body(PasswordReset, request.data)
        passwords.reset_password(
            tenant_id=self.caller.tenant.id,
            token=body.token,
            password=body.password,
            address=client_address(request._request),
            at=self.at,
        )
        return HttpResponse(status=204)


class IdentityProviderViewSet(ContractViewSet):
    tag = "Authentication and authorization"
    error_format = TYPED_ERRORS

    @operation(
        "POST-customer-exchange-authtoken",
        parameters=(
            query_parameter("subjectAccessToken", "The token of the identity provider.", required=True),
            query_parameter("config", "The configuration of the identity provider; absent: the default."),
        ),
        responses={200: ExchangedToken},
    )
    def exchange(self, request: Request, tenant: str) -> HttpResponse:
        """Exchange an identity provider's token for a customer's.

        Needs an anonymous access token. No tenant has an identity provider, so the response is always 400.
        """
        require_kind(self.caller, CallerKind.ANONYMOUS)
        query_text(request, "subjectAccessToken", most=LONGEST_TOKEN, is_required=True)
        config = query_text(request, "config", most=128)
        named = f"no identity provider configuration {config}" if config else "no identity provider"
        raise NoIdentityProvider(f"The tenant has {named}.", field="config")

    @operation(
        "POST-customer-login-customer-by-auth0",
        parameters=(
            query_parameter("code", "The authorization code of the identity provider.", required=True),
            query_parameter("redirect_uri", "Where the identity provider sent the customer.", required=True),
            query_parameter("code_verifier", "Needed with PKCE."),
            header_parameter("session-id", "The id of the anonymous session."),
        ),
        responses={200: CustomerToken},
    )
    def social_login(self, request: Request, tenant: str) -> HttpResponse:
        """Log a customer in by a social login.

        Needs an anonymous access token. No tenant has an identity provider, so the response is always 400.
        """
        require_kind(self.caller, CallerKind.ANONYMOUS)
        query_text(request, "code", most=LONGEST_TOKEN, is_required=True)
        query_text(request, "redirect_uri", most=2_000, is_required=True)
        raise NoIdentityProvider("The tenant has no identity provider for social logins.", field="code")
