"""What can go wrong with who there is and who calls."""

from core.errors import NotAuthenticated


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
