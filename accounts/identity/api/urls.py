"""The addresses of tokens and sessions."""

from accounts.identity.api.viewsets.passwords import IdentityProviderViewSet, PasswordViewSet
from accounts.identity.api.viewsets.sessions import AnonymousSessionViewSet, CustomerSessionViewSet
from accounts.identity.api.viewsets.tokens import KeySetViewSet, ServiceTokenViewSet
from core.api.routes import route

ANONYMOUS = "customerlogin/auth/anonymous"
CUSTOMER = "customer/<tenant>"

urlpatterns = [
    route("oauth/token", ServiceTokenViewSet, post="create"),
    route(".well-known/jwks.json", KeySetViewSet, get="retrieve"),
    route(f"{ANONYMOUS}/login", AnonymousSessionViewSet, get="login"),
    route(f"{ANONYMOUS}/refresh", AnonymousSessionViewSet, get="refresh"),
    route(f"{CUSTOMER}/login", CustomerSessionViewSet, post="login"),
    route(f"{CUSTOMER}/logout", CustomerSessionViewSet, get="logout"),
    route(f"{CUSTOMER}/refreshauthtoken", CustomerSessionViewSet, get="refresh"),
    route(f"{CUSTOMER}/exchangeauthtoken", IdentityProviderViewSet, post="exchange"),
    route(f"{CUSTOMER}/socialLogin", IdentityProviderViewSet, post="social_login"),
    route(f"{CUSTOMER}/password/change", PasswordViewSet, post="change"),
    route(f"{CUSTOMER}/password/reset", PasswordViewSet, post="request_reset"),
    route(f"{CUSTOMER}/password/reset/update", PasswordViewSet, post="reset"),
    route(f"{CUSTOMER}/validateauthtoken", CustomerSessionViewSet, get="validate"),
]
