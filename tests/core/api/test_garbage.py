"""What a request of the API leaves behind."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ
from core.api.middleware import ApiMiddleware
from core.tenancy.models import Tenant
from tests.factories.accounts import SiteFactory

SEGMENTS = "/customer-segment/acme/segments"
SEGMENT = b'{"id": "gold", "name": {"en": "Gold"}, "siteCode": "main"}'


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", SEGMENTS, b"", 200),
        ("POST", SEGMENTS, SEGMENT, 201),
        ("POST", SEGMENTS, b'{"name": 5}', 400),
        ("POST", SEGMENTS, b"{", 400),
        ("POST", f"{SEGMENTS}/search", b'{"q": "status:ACTIVE"}', 200),
        ("DELETE", f"{SEGMENTS}/nothing", b"", 204),
        ("PUT", SEGMENTS, b"", 405),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_request_is_forgotten_once_it_is_answered(
    service_api, tenant: Tenant, no_garbage_collection, method, path, body, status, is_known
) -> None:
    """What refers to itself would keep the body, of megabytes perhaps, until Python looks for garbage."""
    SiteFactory(tenant=tenant, code="main", is_default=True)
    token = service_api(SEGMENT_MANAGE, SEGMENT_READ).headers["Authorization"] if is_known else "Bearer wrong"
    request: WSGIRequest | None = RequestFactory().generic(
        method, path, body, content_type="application/json", headers={"Authorization": token}
    )
    forgotten = ref(request)
    response: HttpResponse | None = ApiMiddleware(lambda _: HttpResponse())(request)
    assert response.status_code == (status if is_known else 401)
    request = response = None
    assert forgotten() is None
