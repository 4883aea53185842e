from accounts.identity.models.attempts import AttemptCounter
from accounts.identity.models.clients import ApiClient, ClientSecret, RefreshToken, Session, SigningKey
from accounts.identity.models.passwords import LegacyPassword, PasswordMigration

__all__ = [
    "ApiClient",
    "AttemptCounter",
    "ClientSecret",
    "LegacyPassword",
    "PasswordMigration",
    "RefreshToken",
    "Session",
    "SigningKey",
]
