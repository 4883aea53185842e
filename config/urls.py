from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularSwaggerSplitView

from config.demo.shop_page import shop_page
from config.health import health, readiness
from config.metrics import metrics
from config.openapi_document import openapi_document

# Its script has an address of its own, as the Content-Security-Policy wants it.
documentation = SpectacularSwaggerSplitView.as_view(
    url_name="schema", template_name="docs.html", http_method_names=["get", "head"]
)

urlpatterns = [
    path("", include("segments.api.urls")),
    path("", include("catalog.api.urls")),
    path("", include("coupons.api.urls")),
    path("", include("events.api.urls")),
    path("", include("accounts.identity.api.urls")),
    path("", include("accounts.api.urls")),
    path("healthz", health),
    path("readyz", readiness),
    path("metrics", metrics),
    path("openapi.json", openapi_document, name="schema"),
    path("docs", documentation, name="docs"),
    path("shop/", shop_page),
    path("shop/<str:name>", shop_page),
    path("", RedirectView.as_view(pattern_name="docs")),
    *([path("admin/oidc/", include("mozilla_django_oidc.urls"))] if settings.OIDC else []),
    *([path("admin/totp/", include("accounts.totp.urls"))] if settings.TOTP else []),
    path("admin/language/", set_language, name="set_language"),
    path("admin/", admin.site.urls),
]
handler404 = "config.error_handlers.not_found"
handler500 = "config.error_handlers.failed"
handler400 = "config.error_handlers.bad_request"
