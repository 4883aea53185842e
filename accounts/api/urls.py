from django.urls import path

from accounts.api.viewsets.contact_assignments import ContactAssignmentViewSet
from accounts.api.viewsets.customers import CustomerViewSet
from accounts.api.viewsets.legal_entities import LegalEntityViewSet
from accounts.api.viewsets.profiles import ProfileViewSet, SignupViewSet
from accounts.api.viewsets.sites import SiteViewSet
from accounts.identity.api.viewsets.sessions import AnonymousSessionViewSet, CustomerSessionViewSet
from accounts.identity.api.viewsets.tokens import KeySetViewSet, ServiceTokenViewSet

CUSTOMER = "customer/<tenant>"
MANAGEMENT = "customer-management/<tenant>"
SITE = "site/<tenant>"

urlpatterns = [
    path("oauth/token", ServiceTokenViewSet.as_view({"post": "create"})),
    path(".well-known/jwks.json", KeySetViewSet.as_view({"get": "retrieve"})),
    path("customerlogin/auth/anonymous/login", AnonymousSessionViewSet.as_view({"get": "login"})),
    path("customerlogin/auth/anonymous/refresh", AnonymousSessionViewSet.as_view({"get": "refresh"})),
    path(f"{CUSTOMER}/signup", SignupViewSet.as_view({"post": "create"})),
    path(f"{CUSTOMER}/login", CustomerSessionViewSet.as_view({"post": "login"})),
    path(f"{CUSTOMER}/logout", CustomerSessionViewSet.as_view({"get": "logout"})),
    path(f"{CUSTOMER}/refreshauthtoken", CustomerSessionViewSet.as_view({"get": "refresh"})),
    path(f"{CUSTOMER}/validateauthtoken", CustomerSessionViewSet.as_view({"get": "validate"})),
    path(f"{CUSTOMER}/me", ProfileViewSet.as_view({"get": "retrieve", "patch": "partial_update"})),
    path(f"{CUSTOMER}/customers", CustomerViewSet.as_view({"get": "list", "post": "create"})),
    path(f"{CUSTOMER}/customers/search", CustomerViewSet.as_view({"post": "search"})),
    path(
        f"{CUSTOMER}/customers/<customer_number>",
        CustomerViewSet.as_view(
            {"get": "retrieve", "put": "upsert", "patch": "partial_update", "delete": "destroy"}
        ),
    ),
    path(f"{MANAGEMENT}/legal-entities", LegalEntityViewSet.as_view({"get": "list", "post": "create"})),
    path(f"{MANAGEMENT}/legal-entities/search", LegalEntityViewSet.as_view({"post": "search"})),
    path(
        f"{MANAGEMENT}/legal-entities/<legal_entity_id>",
        LegalEntityViewSet.as_view({"get": "retrieve", "put": "upsert", "delete": "destroy"}),
    ),
    path(
        f"{MANAGEMENT}/contact-assignments",
        ContactAssignmentViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path(
        f"{MANAGEMENT}/contact-assignments/<contact_assignment_id>",
        ContactAssignmentViewSet.as_view({"get": "retrieve", "put": "upsert", "delete": "destroy"}),
    ),
    path(f"{SITE}/sites", SiteViewSet.as_view({"get": "list", "post": "create"})),
    path(f"{SITE}/siteslist", SiteViewSet.as_view({"get": "codes"})),
    path(
        f"{SITE}/sites/<site_code>",
        SiteViewSet.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
        ),
    ),
]
