"""What clients send to get tokens, and what they are answered."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core.bodies import Body

Deprecated = Annotated[str, Meta(description="Deprecated: the same under its former name.")]
DeprecatedNumber = Annotated[int, Meta(description="Deprecated: the same under its former name.")]


def as_written(name: str) -> str:
    """Keep the name of a member: those of OAuth have underscores."""
    return name


class ServiceTokenRequest(Body, rename=as_written, kw_only=True):
    """The form that asks for a service token (RFC 6749, client credentials)."""

    grant_type: Literal["client_credentials"]
    client_id: Annotated[str, Meta(description="Absent when HTTP Basic names the client.")] | None = None
    client_secret: str | None = None
    scope: (
        Annotated[str, Meta(description="Scopes wanted, separated by blanks. Absent: all of them.")] | None
    ) = None


class ServiceToken(Body, rename=as_written):
    """A service's access token."""

    access_token: str
    token_type: str
    expires_in: int
    session_idle_time: int
    refresh_token: str
    refresh_token_expires_in: int
    scope: str


class OAuthError(Body, rename=as_written):
    """An error of RFC 6749."""

    error: str
    error_description: str


class JsonWebKey(Body):
    """The public half of a key that signs tokens (RFC 7517)."""

    kty: str
    kid: str
    use: str
    alg: str
    n: str
    e: str


class JsonWebKeySet(Body):
    """The keys that verify access tokens."""

    keys: list[JsonWebKey]


class AnonymousToken(Body, rename=as_written, kw_only=True):
    """The tokens of an anonymous session."""

    token_type: str
    access_token: str
    expires_in: int
    refresh_token: str | None = None
    refresh_token_expires_in: int | None = None
    session_id: str = msgspec.field(name="sessionId")
    scope: str
    deprecated_access_token: Deprecated = msgspec.field(name="accessToken")
    deprecated_refresh_token: Deprecated | None = msgspec.field(name="refreshToken", default=None)
    deprecated_expires_in: DeprecatedNumber = msgspec.field(name="expiresIn")


class RefreshedCustomerToken(Body, rename=as_written, kw_only=True):
    """A customer's new tokens. The `saas_token` of the login stays good: there is no new one."""

    token_type: str
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_token_expires_in: int
    session_id: str
    deprecated_access_token: Deprecated = msgspec.field(name="accessToken")
    deprecated_refresh_token: Deprecated = msgspec.field(name="refreshToken")
    deprecated_expires_in: DeprecatedNumber = msgspec.field(name="expiresIn")
    deprecated_refresh_token_expires_in: DeprecatedNumber = msgspec.field(name="refreshTokenExpiresIn")


class CustomerToken(RefreshedCustomerToken, rename=as_written, kw_only=True):
    """A customer's tokens after a login."""

    saas_token: Annotated[str, Meta(description="Tells the shop's other services who the customer is.")]
    deprecated_saas_token: Deprecated = msgspec.field(name="saasToken")
    initial_password: Annotated[
        bool, Meta(description="Whether staff chose the password, so that the shop asks for another one.")
    ] = msgspec.field(name="initialPassword")


class TokenDetails(Body, rename=as_written, kw_only=True):
    """What an access token says."""

    token_type: str
    expires_in: int
    scope: str
    session_id: str | None = msgspec.field(name="sessionId", default=None)
    email: str | None = None
    legal_entity_id: str | None = msgspec.field(name="legalEntityId", default=None)


class LoginRequest(Body):
    """The e-mail and the password of a customer who logs in."""

    email: Annotated[str, Meta(min_length=1, max_length=254)]
    password: Annotated[str, Meta(min_length=1, max_length=200)]


class PasswordChange(Body):
    """The password that a customer has, and the one that they choose."""

    current_password: Annotated[str, Meta(min_length=1, max_length=128)]
    new_password: Annotated[str, Meta(min_length=1, max_length=128)]


class PasswordResetRequest(Body):
    """Whom to send a token that sets a new password. `site` is accepted and plays no part."""

    email: Annotated[str, Meta(min_length=1, max_length=254)]
    site: str | None = None


class PasswordReset(Body):
    """The token that came by e-mail, and the new password."""

    token: Annotated[str, Meta(min_length=1, max_length=500)]
    password: Annotated[str, Meta(min_length=1, max_length=128)]


class ExchangedToken(Body, rename=as_written, kw_only=True):
    """A customer's tokens for a token of an identity provider."""

    subject_access_token: str
    access_token: str
    saas_token: str
    refresh_token: str
    refresh_token_expires_in: int
    session_idle_time: int
    token_type: str
    expires_in: int
    scope: str
    session_id: str
