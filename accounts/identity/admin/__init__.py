from accounts.identity.admin.clients import ApiClientAdmin, ClientSecretAdmin
from accounts.identity.admin.sessions import (
    AttemptCounterAdmin,
    RefreshTokenAdmin,
    SessionAdmin,
    SigningKeyAdmin,
)

__all__ = [
    "ApiClientAdmin",
    "AttemptCounterAdmin",
    "ClientSecretAdmin",
    "RefreshTokenAdmin",
    "SessionAdmin",
    "SigningKeyAdmin",
]
