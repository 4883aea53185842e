from accounts.identity.models.attempts import AttemptCounter
from accounts.identity.models.clients import ApiClient, ClientSecret, RefreshToken, Session, SigningKey

__all__ = ["ApiClient", "AttemptCounter", "ClientSecret", "RefreshToken", "Session", "SigningKey"]
