"""What can go wrong with who there is and who calls."""

from core.errors import AlreadyExists, Conflict, DomainError, InvalidInput, NotAllowed, NotAuthenticated


class InvalidAccessToken(NotAuthenticated):
    """The access token is none of ours, was tampered with, or has been revoked."""

    code = "invalid_access_token"

    def __init__(self, message: str = "Invalid access token") -> None:
        super().__init__(message)


class AccessTokenExpired(NotAuthenticated):
    """The access token was good, but its time is over."""

    code = "access_token_expired"
    fault_code = "keymanagement.service.access_token_expired"

    def __init__(self) -> None:
        super().__init__("Access Token expired")


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is none of ours, is over, was used before, or its session has ended."""

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
    """E-mail and password do not belong to a customer who may log in; which of them is wrong is not told."""

    code = "invalid_credentials"
    fault_code = "oauth.v2.InvalidCredentials"

    def __init__(self) -> None:
        super().__init__("Invalid credentials")


class TokenRequestRefused(DomainError):
    """A request for a service token was refused; `code` is the error of RFC 6749."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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
    """A legal entity cannot stand below itself."""

    code = "legal_entity_cycle"

    def __init__(self) -> None:
        super().__init__("A legal entity cannot stand below itself.", field="parentId")


class UnacceptablePassword(InvalidInput):
    """The password is too easily guessed; the message says everything that is wrong with it."""

    code = "unacceptable_password"


class OnlyStaffMayChange(NotAllowed):
    """Customers cannot change this part of their own profile."""

    code = "only_staff_may_change"
