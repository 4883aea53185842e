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

    grant_type: Annotated[
        Literal["client_credentials"], Meta(description="How the client identifies itself.")
    ]
    client_id: Annotated[str, Meta(description="Absent when HTTP Basic names the client.")] | None = None
    client_secret: Annotated[str | None, Meta(description="Absent when HTTP Basic names the client.")] = None
    scope: (
        Annotated[str, Meta(description="Scopes wanted, separated by blanks. Absent: all of them.")] | None
    ) = None


class ServiceToken(Body, rename=as_written):
    """A service's access token."""

    access_token: Annotated[str, Meta(description="The token for the header Authorization.")]
    token_type: Annotated[str, Meta(description="Always Bearer.")]
    expires_in: Annotated[int, Meta(description="Seconds until the access token expires.")]
    session_idle_time: Annotated[
        int, Meta(description="Seconds, as published; no session ends for being idle.")
    ]
    refresh_token: Annotated[str, Meta(description="Always empty: ask for another token instead.")]
    refresh_token_expires_in: Annotated[int, Meta(description="Always 0.")]
    scope: Annotated[
        str,
        Meta(description="The scopes that were granted, and `tenant=` with the tenant, separated by blanks."),
    ]


class OAuthError(Body, rename=as_written):
    """An error of RFC 6749."""

    error: Annotated[str, Meta(description="A name of RFC 6749.")]
    error_description: Annotated[str, Meta(description="What is wrong, and what to do.")]


class JsonWebKey(Body):
    """The public half of a key that signs tokens (RFC 7517)."""

    kty: Annotated[str, Meta(description="The kind of key: RSA.")]
    kid: Annotated[str, Meta(description="The id of the key, as in the header of tokens.")]
    use: Annotated[str, Meta(description="What it is for: sig.")]
    alg: Annotated[str, Meta(description="The algorithm: RS256.")]
    n: Annotated[str, Meta(description="The modulus (base64url).")]
    e: Annotated[str, Meta(description="The exponent (base64url).")]


class JsonWebKeySet(Body):
    """The keys that verify access tokens."""

    keys: Annotated[list[JsonWebKey], Meta(description="The keys.")]


class AnonymousToken(Body, rename=as_written, kw_only=True):
    """The tokens of an anonymous session."""

    token_type: Annotated[str, Meta(description="Always Bearer.")]
    access_token: Annotated[str, Meta(description="The token for the header Authorization.")]
    expires_in: Annotated[int, Meta(description="Seconds until the access token expires.")]
    refresh_token: Annotated[str | None, Meta(description="The token that gets the next one.")] = None
    refresh_token_expires_in: Annotated[
        int | None, Meta(description="Seconds until the refresh token expires.")
    ] = None
    session_id: Annotated[
        str, Meta(description="The session's id, which stays when the customer logs in.")
    ] = msgspec.field(name="sessionId")
    scope: Annotated[str, Meta(description="The scopes of the token, separated by blanks.")]
    deprecated_access_token: Deprecated = msgspec.field(name="accessToken")
    deprecated_refresh_token: Deprecated | None = msgspec.field(name="refreshToken", default=None)
    deprecated_expires_in: DeprecatedNumber = msgspec.field(name="expiresIn")


class RefreshedCustomerToken(Body, rename=as_written, kw_only=True):
    """A customer's new tokens. The `saas_token` of the login stays good: there is no new one."""

    token_type: Annotated[str, Meta(description="Always Bearer.")]
    access_token: Annotated[str, Meta(description="The token for the header Authorization.")]
    expires_in: Annotated[int, Meta(description="Seconds until the access token expires.")]
    refresh_token: Annotated[str, Meta(description="The token that gets the next one.")]
    refresh_token_expires_in: Annotated[int, Meta(description="Seconds until the refresh token expires.")]
    session_id: Annotated[str, Meta(description="The session's id, which stays when the customer logs in.")]
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

    token_type: Annotated[str, Meta(description="Always Bearer.")]
    expires_in: Annotated[int, Meta(description="Seconds until the token expires.")]
    scope: Annotated[str, Meta(description="The scopes of the token, separated by blanks.")]
    session_id: Annotated[str | None, Meta(description="The session's id.")] = msgspec.field(
        name="sessionId", default=None
    )
    email: Annotated[str | None, Meta(description="The customer's e-mail.")] = None
    legal_entity_id: Annotated[
        str | None, Meta(description="The legal entity that the customer acts for.")
    ] = msgspec.field(name="legalEntityId", default=None)


class LoginRequest(Body):
    """The e-mail and the password of a customer who logs in."""

    email: Annotated[
        Annotated[str, Meta(min_length=1, max_length=254)], Meta(description="The customer's e-mail.")
    ]
    password: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)], Meta(description="The customer's password.")
    ]


class PasswordChange(Body):
    """The password that a customer has, and the one that they choose."""

    current_password: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)], Meta(description="The password until now.")
    ]
    new_password: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)], Meta(description="The next one.")
    ]


class PasswordResetRequest(Body):
    """Whom to send a token that sets a new password. `site` is accepted and plays no part."""

    email: Annotated[
        Annotated[str, Meta(min_length=1, max_length=254)], Meta(description="The customer's e-mail.")
    ]
    site: Annotated[str | None, Meta(description="Accepted; plays no part.")] = None


class PasswordReset(Body):
    """The token that came by e-mail, and the new password."""

    token: Annotated[
        Annotated[str, Meta(min_length=1, max_length=500)], Meta(description="The token of the e-mail.")
    ]
    password: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)], Meta(description="The new password.")
    ]


class ExchangedToken(Body, rename=as_written, kw_only=True):
    """A customer's tokens for a token of an identity provider."""

    subject_access_token: Annotated[str, Meta(description="The token that was exchanged.")]
    access_token: Annotated[str, Meta(description="The token for the header Authorization.")]
    saas_token: Annotated[str, Meta(description="Tells the shop's other services who the customer is.")]
    refresh_token: Annotated[str, Meta(description="The token that gets the next one.")]
    refresh_token_expires_in: Annotated[int, Meta(description="Seconds until the refresh token expires.")]
    session_idle_time: Annotated[
        int, Meta(description="Seconds, as published; no session ends for being idle.")
    ]
    token_type: Annotated[str, Meta(description="Always Bearer.")]
    expires_in: Annotated[int, Meta(description="Seconds until the access token expires.")]
    scope: Annotated[str, Meta(description="The scopes of the token, separated by blanks.")]
    session_id: Annotated[str, Meta(description="The session's id, which stays when the customer logs in.")]
