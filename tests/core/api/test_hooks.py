"""What Django REST framework documents for an APIView takes effect on the viewsets of the API."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework import negotiation, parsers, permissions, renderers, throttling, versioning
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.identity.tokens.verification import BearerAuthentication
from core.api.json import json_response
from core.api.schema import operation
from core.api.viewsets import ContractViewSet, HasScope
from core.tenancy.callers import Caller, CallerKind, TenantRecord

ACME = TenantRecord(1, "acme", "en", ("en",), "EUR")
EXPIRY = datetime(2040, 1, 1, tzinfo=UTC)


class NamedClients(BaseAuthentication):
    """`Authorization: <client id> [scope ...]`, so that no token has to be signed."""

    def authenticate(self, request: Request) -> tuple[Caller, str] | None:
        client_id, *scopes = request.META.get("HTTP_AUTHORIZATION", "").split() or [""]
        if not client_id:
            return None
        return Caller(ACME, CallerKind.SERVICE, client_id, frozenset(scopes), EXPIRY), f"token of {client_id}"


class EchoViewSet(ContractViewSet):
    """Answers what it was sent."""

    authentication_classes: Any = [NamedClients]

    @operation("GET-echo", scopes=["echo.read"])
    def list(self, request: Request, tenant: str) -> HttpResponse:
        return Response({"version": request.version, "at": bool(self.at)})

    @operation("POST-echo", scopes=["echo.read"])
    def create(self, request: Request, tenant: str) -> HttpResponse:
        return json_response(request.data, 200)

    @operation("PUT-echo", is_public=True)
    def update(self, request: Request, tenant: str) -> HttpResponse:
        return json_response({"user": type(request.user).__name__, "auth": request.auth}, 200)


def call(
    viewset: type[ContractViewSet],
    method: str = "get",
    *,
    client: str = "shop echo.read",
    tenant: str = "acme",
    path: str = "/echo",
    **extra: object,
) -> Any:
    if client:
        extra["HTTP_AUTHORIZATION"] = client
    view = viewset.as_view({"get": "list", "post": "create", "put": "update"})
    response = view(getattr(RequestFactory(), method)(path, **extra), tenant=tenant)
    return response.render() if hasattr(response, "render") else response


def test_a_request_passes_all_hooks():
    assert json.loads(call(EchoViewSet).content) == {"version": None, "at": True}


class Deny(permissions.BasePermission):
    message = "Closed on Sundays."

    def has_permission(self, request, view):
        return False


class Never(throttling.BaseThrottle):
    def allow_request(self, request, view):
        return False

    def wait(self):
        return 6.5


def test_a_permission_of_a_subclass_denies_and_its_message_is_shown():
    class Closed(EchoViewSet):
        permission_classes = [Deny]

    response = call(Closed)
    assert (response.status_code, json.loads(response.content)["message"]) == (403, "Closed on Sundays.")


def test_permissions_can_be_chosen_for_each_action():
    class Writable(EchoViewSet):
        def get_permissions(self):
            return [HasScope()] if self.action == "create" else [Deny()]

    assert call(Writable).status_code == 403
    assert call(Writable, "post", data="1", content_type="application/json").status_code == 200


def test_permissions_can_be_combined():
    class Either(EchoViewSet):
        permission_classes = [HasScope | permissions.IsAuthenticated]

    assert call(Either, client="shop").status_code == 200
    assert call(Either, client="").status_code == 401


def test_a_throttle_of_a_subclass_refuses_and_says_how_long_to_wait():
    class Slow(EchoViewSet):
        throttle_classes = [Never]

    response = call(Slow)
    assert (response.status_code, response["Retry-After"]) == (429, "7")
    assert call(Slow, client="").status_code == 401  # permissions come first


def test_a_throttle_by_user_counts_each_caller():
    class OncePerHour(throttling.UserRateThrottle):
        rate = "1/hour"

    class Slow(EchoViewSet):
        throttle_classes = [OncePerHour]

    cache.clear()
    clients = ("one echo.read", "one echo.read", "two echo.read")
    assert [call(Slow, client=client).status_code for client in clients] == [200, 429, 200]
    cache.clear()


def test_a_versioning_scheme_of_a_subclass_decides():
    class ByParameter(versioning.QueryParameterVersioning):
        allowed_versions = ("1", "2")
        default_version = "1"

    class Versioned(EchoViewSet):
        versioning_class = ByParameter

    assert json.loads(call(Versioned).content)["version"] == "1"
    assert json.loads(call(Versioned, path="/echo?version=2").content)["version"] == "2"
    assert call(Versioned, path="/echo?version=3").status_code == 404


def test_the_negotiation_of_a_subclass_chooses_the_renderer():
    class Upper(renderers.BaseRenderer):
        media_type = "text/plain"
        format = "txt"

        def render(self, data, accepted_media_type=None, renderer_context=None):
            return b"PLAIN"

    class Negotiated(EchoViewSet):
        content_negotiation_class = negotiation.DefaultContentNegotiation
        renderer_classes = [renderers.JSONRenderer, Upper]

    response = call(Negotiated, HTTP_ACCEPT="text/plain")
    assert (response.content, response["Content-Type"]) == (b"PLAIN", "text/plain; charset=utf-8")
    assert response["Vary"] == "Accept"
    assert call(Negotiated, HTTP_ACCEPT="application/json")["Content-Type"] == "application/json"
    assert call(Negotiated, HTTP_ACCEPT="image/png").status_code == 406


def test_the_parsers_of_a_subclass_read_the_body():
    class Lines(parsers.BaseParser):
        media_type = "text/lines"

        def parse(self, stream, media_type=None, parser_context=None):
            return stream.read().decode().splitlines()

    class Parsed(EchoViewSet):
        parser_classes = [Lines]

    class Strict(Parsed):
        content_negotiation_class = negotiation.DefaultContentNegotiation

    assert call(Parsed, "post", data="a\nb", content_type="text/lines").content == b'["a","b"]'
    assert call(Strict, "post", data="a\nb", content_type="text/lines").content == b'["a","b"]'
    assert call(Strict, "post", data="a", content_type="text/xml").status_code == 415


def test_the_user_is_the_caller_and_auth_what_the_authenticator_verified():
    body = json.loads(call(EchoViewSet, "put").content)
    assert body == {"user": "Caller", "auth": "token of shop"}


def test_without_a_token_the_user_is_anonymous():
    body = json.loads(call(EchoViewSet, "put", client="").content)
    assert body == {"user": AnonymousUser.__name__, "auth": None}


def test_permissions_of_rest_framework_know_a_caller():
    class Authenticated(EchoViewSet):
        permission_classes = [permissions.IsAuthenticated]

    class Staff(EchoViewSet):
        permission_classes = [permissions.IsAdminUser]

    assert call(Authenticated).status_code == 200
    assert call(Authenticated, client="").status_code == 401
    assert call(Staff).status_code == 403


def test_a_bearer_token_becomes_caller_and_claims(service_api):
    api = service_api("coupon.coupon_read")
    header = api.headers["Authorization"]
    accepted = BearerAuthentication().authenticate(
        Request(RequestFactory().get("/", headers={"Authorization": header}))
    )
    assert accepted is not None
    user, auth = accepted
    assert user.tenant.name == auth.claims["tenant"] == "acme"
    assert auth.caller is user
    assert "coupon.coupon_read" in user.scopes
    assert BearerAuthentication().authenticate(Request(RequestFactory().get("/"))) is None


@pytest.mark.parametrize(
    ("client", "tenant", "status", "says"),
    [
        ("", "globex", 401, "Invalid access token"),
        ("shop", "globex", 403, "another tenant"),
        ("shop", "Globex", 400, "tenant"),
        ("shop", "acme", 403, "echo.read"),
    ],
    ids=["no token", "another tenant", "malformed tenant", "no scope"],
)
def test_token_then_tenant_then_scope(client, tenant, status, says):
    response = call(EchoViewSet, client=client, tenant=tenant)
    assert response.status_code == status
    assert says in response.content.decode()


def test_an_action_without_a_declaration_is_closed():
    class Undeclared(EchoViewSet):
        def list(self, request, tenant):
            return HttpResponse()

    assert call(Undeclared).status_code == 500


@pytest.mark.parametrize("accept", [None, "", "text/html", "image/*", "application/xml;q=1", "nonsense"])
def test_any_accept_gets_json(accept):
    response = call(EchoViewSet, **({} if accept is None else {"HTTP_ACCEPT": accept}))
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
def test_any_or_no_content_type_is_read_as_json(content_type):
    request = RequestFactory().post("/echo", data=b'{"a": [1]}', content_type="application/json")
    request.META.update(CONTENT_TYPE=content_type, HTTP_AUTHORIZATION="shop echo.read")
    if not content_type:
        del request.META["CONTENT_TYPE"]
    response = EchoViewSet.as_view({"post": "create"})(request, tenant="acme")
    assert (response.status_code, json.loads(response.content)) == (200, {"a": [1]})


@pytest.mark.parametrize("name", ["json", "xml", "api"])
def test_format_is_no_parameter(name):
    response = call(EchoViewSet, path=f"/echo?format={name}", HTTP_ACCEPT="text/html")
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
