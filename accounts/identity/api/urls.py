"""The addresses of tokens and sessions."""

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
    route(f"{CUSTOMER}/validateauthtoken", CustomerSessionViewSet, get="validate"),
]
