"""Access tokens: signed JSON Web Tokens that say who calls. See docs/tokens.md."""

from accounts.identity.tokens.issuing import issue_access_token
from accounts.identity.tokens.verification import verify_access_token

__all__ = ["issue_access_token", "verify_access_token"]
