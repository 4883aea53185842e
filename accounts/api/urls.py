from django.urls import path

from accounts.api.views.sessions import AnonymousSessionViewSet, CustomerSessionViewSet
from accounts.api.views.tokens import KeySetViewSet, ServiceTokenViewSet

CUSTOMER = "customer/<tenant>"

urlpatterns = [
    path("oauth/token", ServiceTokenViewSet.as_view({"post": "create"})),
    path(".well-known/jwks.json", KeySetViewSet.as_view({"get": "retrieve"})),
    path("customerlogin/auth/anonymous/login", AnonymousSessionViewSet.as_view({"get": "login"})),
    path("customerlogin/auth/anonymous/refresh", AnonymousSessionViewSet.as_view({"get": "refresh"})),
    path(f"{CUSTOMER}/login", CustomerSessionViewSet.as_view({"post": "login"})),
    path(f"{CUSTOMER}/logout", CustomerSessionViewSet.as_view({"get": "logout"})),
    path(f"{CUSTOMER}/refreshauthtoken", CustomerSessionViewSet.as_view({"get": "refresh"})),
    path(f"{CUSTOMER}/validateauthtoken", CustomerSessionViewSet.as_view({"get": "validate"})),
]
