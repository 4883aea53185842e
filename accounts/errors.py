"""What can go wrong with accounts, and with who calls."""

from core.errors import (
    MOST_DELETED_ALONG,
    AlreadyExists,
    Conflict,
    DomainError,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    TooMuchToDelete,
    Unavailable,
)


def challenge(reason: str) -> str:
    """Return the header WWW-Authenticate (RFC 6750) that says why a token was refused."""
    return f'Bearer error="invalid_token", error_description="{reason}"'


class InvalidAccessToken(NotAuthenticated):
    """The access token was not issued by the service, or was tampered with."""

    code = "invalid_access_token"
    challenge = challenge("The access token is malformed or was not issued by this service")

    def __init__(self, message: str = "Invalid access token") -> None:
        super().__init__(message)


class AccessTokenRevoked(InvalidAccessToken):
    """The session, client, tenant, customer or contact behind the access token has ended or is shut out."""

    code = "access_token_revoked"
    challenge = challenge("The access token was revoked")


class AccessTokenExpired(NotAuthenticated):
    """The access token was good, but has expired."""

    code = "access_token_expired"
    fault_code = "keymanagement.service.access_token_expired"
    challenge = challenge("The access token expired")

    def __init__(self) -> None:
        super().__init__("Access Token expired")


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is unknown, has expired, was used before, or its session has ended."""

    code = "invalid_refresh_token"
    fault_code = "oauth.v2.InvalidRefreshToken"

    def __init__(self) -> None:
        super().__init__("Invalid refresh token")


class UnknownClient(NotAuthenticated):
    """No active client of the tenant that may start sessions has this id."""

    code = "unknown_client"
    fault_code = "oauth.v2.InvalidClientId"

    def __init__(self) -> None:
        super().__init__("Invalid client identifier")


class InvalidCredentials(NotAuthenticated):
    """E-mail and password are not those of a customer who may log in. Which one is wrong stays secret."""

    code = "invalid_credentials"
    fault_code = "oauth.v2.InvalidCredentials"

    def __init__(self) -> None:
        super().__init__("Invalid credentials")


class TokenRequestRefused(DomainError):
    """A request for a service token was refused; `code` is the error of RFC 6749."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoSigningKey(Unavailable):
    """No token can be signed; the log says what the operator has to do."""

    code = "no_signing_key"

    def __init__(self) -> None:
        super().__init__(
            "No tokens can be issued at the moment; the service's log says what to do.", retry_after=60
        )


class NotAContact(InvalidInput):
    """The customer is no contact of this legal entity."""

    code = "not_a_contact"

    def __init__(self, legal_entity_id: str) -> None:
        super().__init__(
            f"The customer is not assigned to the legal entity {legal_entity_id}.", field="legalEntityId"
        )


class DuplicateAccount(AlreadyExists):
    """The e-mail is another customer's login."""

    code = "duplicate_account"

    def __init__(self, *, email: str) -> None:
        super().__init__(f"A customer with the e-mail {email} exists already.", field="contactEmail")


class DuplicateId(AlreadyExists):
    """The id is taken."""

    code = "duplicate_id"

    def __init__(self, *, resource_id: str) -> None:
        super().__init__(f"The id {resource_id} is taken.", field="id", resource_id=resource_id)


class DuplicateContact(AlreadyExists):
    """The customer is a contact of this legal entity already."""

    code = "duplicate_contact"

    def __init__(self) -> None:
        super().__init__("The customer is assigned to this legal entity already.", field="customer.id")


class DuplicateSiteCode(AlreadyExists):
    """The site's code is taken."""

    code = "duplicate_site_code"

    def __init__(self, *, code: str) -> None:
        super().__init__(f"A site with the code {code} exists already.", field="code")


class SiteInUse(Conflict):
    """Something belongs to the site, so it cannot be deleted."""

    code = "site_in_use"

    def __init__(self, *, code: str) -> None:
        super().__init__(f"The site {code} has customer segments; delete them first.")


class DefaultSiteRequired(InvalidInput):
    """A tenant always has one default site."""

    code = "default_site_required"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="default")


class UnknownReference(InvalidInput):
    """The body names something that does not exist."""

    code = "unknown_reference"


class LegalEntityCycle(InvalidInput):
    """A legal entity cannot be below itself."""

    code = "legal_entity_cycle"

    def __init__(self) -> None:
        super().__init__("A legal entity cannot be below itself.", field="parentId")


class UnacceptablePassword(InvalidInput):
    """The password is easily guessed; the message says everything that is wrong with it."""

    code = "unacceptable_password"


class WrongPassword(InvalidInput):
    """The current password, which a change needs, is another one."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__("currentPassword is not the customer's password.", field="currentPassword")


class UnusableResetToken(InvalidInput):
    """The token that sets a new password is unknown, has expired or was used."""

    code = "unusable_reset_token"

    def __init__(self) -> None:
        super().__init__(
            "token is not valid (any more): it is good once and for a short time. Request another one.",
            field="token",
        )


class NoIdentityProvider(InvalidInput):
    """The tenant has no identity provider, so nobody can log in by one."""

    code = "no_identity_provider"


class NoPasswordMigration(InvalidInput):
    """Hashes of other systems are kept only for a time that the tenant has named."""

    code = "no_password_migration"

    def __init__(self) -> None:
        super().__init__(
            "legacyAuth needs an active password migration: configure"
            " config/password-migration-retention first.",
            field="account.legacyAuth",
        )


class PasswordMigrationUnderway(InvalidInput):
    """The tenant still has customers with hashes of another system."""

    code = "password_migration_underway"

    def __init__(self) -> None:
        super().__init__(
            "Customers with legacyAuth are left, so the configuration stays; move retentionEndDate earlier"
            " to end the migration sooner."
        )


class OnlyStaffMayChange(NotAllowed):
    """Customers cannot change this part of their own profile."""

    code = "only_staff_may_change"


class CustomerErased(Conflict):
    """A customer with this number or e-mail has been erased, and an import is not to bring them back."""

    code = "erased"
    text = "This number or e-mail belongs to a customer who has been erased."

    def __init__(self) -> None:
        super().__init__(self.text)


class LegalEntitiesTooLarge(TooMuchToDelete):
    """More rows refer to the legal entities and their subsidiaries than are deleted along at once."""

    def __init__(self) -> None:
        super().__init__(
            f"More than {MOST_DELETED_ALONG:,} contacts and segment assignments belong to the legal entities"
            " that would be deleted. Remove some of them first, by an import with mode delete, which commits"
            " them part by part. Nothing was deleted."
        )
