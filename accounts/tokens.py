"""Access tokens: signed JSON Web Tokens that say who calls."""

from datetime import datetime

from accounts.callers import Caller


def verify_access_token(token: str, *, at: datetime) -> Caller:
    """Return the caller that the token stands for; raise NotAuthenticated when it is not valid at `at`."""
    raise NotImplementedError
