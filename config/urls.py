from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import cache_page
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from config.health import health, readiness

DAY = 86_400  # seconds; the document changes with the code alone, and takes a second to make

urlpatterns = [
    path("", include("segments.api.urls")),
    path("", include("catalog.api.urls")),
    path("", include("coupons.api.urls")),
    path("", include("accounts.identity.api.urls")),
    path("", include("accounts.api.urls")),
    path("healthz", health),
    path("readyz", readiness),
    path("openapi.json", cache_page(DAY)(SpectacularJSONAPIView.as_view()), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("", RedirectView.as_view(pattern_name="docs")),
    path("admin/", admin.site.urls),
]
handler404 = "core.api.errors.unknown_path_response"
handler500 = "core.api.errors.failure_response"
handler400 = "core.api.errors.bad_request_response"
