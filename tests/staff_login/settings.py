"""The settings of tests with an OpenID provider and one-time passwords."""

import os

PROVIDER = "http://127.0.0.1:9"
os.environ.update(
    OIDC_CLIENT_ID="segments",
    OIDC_CLIENT_SECRET="secret of the client",
    OIDC_PROVIDER_NAME="Example ID",
    OIDC_ISSUER=PROVIDER,
    OIDC_AUTHORIZATION_ENDPOINT=f"{PROVIDER}/authorize",
    OIDC_TOKEN_ENDPOINT=f"{PROVIDER}/token",
    OIDC_USERINFO_ENDPOINT=f"{PROVIDER}/userinfo",
    OIDC_JWKS_ENDPOINT=f"{PROVIDER}/keys",
    TOTP="1",
)

from tests.settings import *  # noqa: E402, F403
from tests.settings import DATABASES  # noqa: E402

DATABASES["default"]["TEST"] = {**DATABASES["default"].get("TEST", {}), "NAME": "test_segments_staff_login"}
