"""The small storefront at /shop/: two shoppers of the demo shop side by side, in plain files."""

from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.static import serve

from accounts.identity.models import ApiClient
from config.demo.shop import DEMO_TENANT, Names

PAGE = Path(__file__).parent / "storefront"


@never_cache
def shop_page(request: HttpRequest, name: str = "index.html") -> HttpResponseBase:
    """Return a file of the page; 404 where the demo shop is not loaded."""
    if not storefront_is_open():
        raise Http404("There is no demo shop here. Load it with `manage.py load_demo_data`.")
    return serve(request, name, document_root=str(PAGE))


def storefront_is_open() -> bool:
    client_id = Names(DEMO_TENANT).storefront
    return ApiClient.objects.filter(client_id=client_id, is_active=True, may_start_sessions=True).exists()
