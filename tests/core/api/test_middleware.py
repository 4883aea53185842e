import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import Resolver404

from core.api.middleware import (
    LONGEST_REMEMBERED_PATH,
    REMEMBERED_HOSTS,
    AllowedHosts,
    ApiMiddleware,
    remembered,
    resolved,
)


@pytest.fixture
def client():
    return Client(raise_request_exception=True)


def behind(request: HttpRequest) -> HttpResponse:
    """Take the place of the rest of the settings' middleware and the views behind it."""
    return HttpResponse("behind")


@pytest.mark.parametrize(
    "path", ["/customer-segment/acme/segments", "/oauth/token", "/nothing", "/admin/login/", "/static/x", "/"]
)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:443", "testserver.evil.example", "a b", "\n"])
def test_a_wrong_host_is_refused_everywhere_with_one_line_in_the_log(client, caplog, path, host):
    response = client.get(path, headers={"Host": host})
    assert (response.status_code, response.json()) == (
        400,
        {
            "code": 400,
            "status": "Bad Request",
            "message": "The service does not answer to the host that the request names.",
        },
    )
    found = [record for record in caplog.records if record.name.startswith("django.security")]
    assert [(record.levelname, record.exc_info) for record in found] == [("WARNING", None)]
    assert found[0].getMessage() == (
        f"A request for the host {host!r} was refused. If it is one of this service, add it to ALLOWED_HOSTS."
    )


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/readyz"])
def test_probes_are_answered_whatever_host_they_name(client, db, path):
    assert client.get(path, headers={"Host": "10.0.0.7:8000"}).status_code == 200


def test_a_host_that_is_no_longer_allowed_is_refused_although_it_was_remembered(client, settings):
    settings.ALLOWED_HOSTS = [".shop.example"]
    wanted = {"path": "/oauth/token", "headers": {"Host": "api.shop.example"}}
    assert client.get(**wanted).status_code == 405
    settings.ALLOWED_HOSTS = ["other.example"]
    assert client.get(**wanted).status_code == 400


def test_hosts_are_remembered_up_to_a_bound(settings):
    settings.ALLOWED_HOSTS = ["*"]
    middleware = AllowedHosts(behind)
    for number in range(REMEMBERED_HOSTS + 5):
        request = RequestFactory().get("/oauth/token", headers={"Host": f"{number}.example"})
        assert middleware(request).content == b"behind"
    assert len(middleware.remembered) == REMEMBERED_HOSTS


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/healthz//"])
def test_a_trailing_slash_is_accepted(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "up"})


def test_an_address_of_the_api_is_answered_without_the_middleware_for_browsers():
    request = RequestFactory().get("/healthz")
    answer = ApiMiddleware(behind)(request)
    assert answer.content == b'{"status": "up"}'
    assert answer["Content-Length"] == "16"
    assert not hasattr(request, "session")
    assert request.resolver_match.route == "healthz"


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/segments/segment/", "/static/x.css", "/docs"])
def test_pages_for_browsers_pass_through_all_middleware(path):
    assert ApiMiddleware(behind)(RequestFactory().get(path)).content == b"behind"


def test_the_admin_keeps_sessions_and_protection_against_forged_requests(client, db):
    answer = client.get("/admin/login/")
    assert isinstance(client.session, SessionBase)
    assert "csrftoken" in answer.cookies
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", ["/administration", "/nothing", "/category/acme/nothing/"])
@pytest.mark.parametrize("debug", [False, True])
def test_an_unknown_address_is_not_found_and_says_so_in_json(client, settings, path, debug):
    settings.DEBUG = debug
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, 404)


def test_the_bare_address_leads_to_the_description_of_the_api(client):
    assert client.get("/")["Location"] == "/docs"


def test_an_address_is_resolved_once():
    remembered.cache_clear()
    first, second = (resolved("/healthz", "config.urls") for _ in range(2))
    assert first is second
    assert first.route == "healthz"


def test_a_remembered_address_holds_no_routes_that_did_not_fit():
    remembered.cache_clear()
    match = resolved("/category/acme/category-trees/mugs", "config.urls")
    assert (match.kwargs["tenant"], match.tried) == ("acme", None)


def test_very_long_addresses_are_not_remembered():
    remembered.cache_clear()
    path = "/customer-segment/acme/segments/" + "s" * LONGEST_REMEMBERED_PATH
    assert resolved(path, "config.urls").kwargs["tenant"] == "acme"
    assert remembered.cache_info().currsize == 0


def test_unknown_addresses_are_not_remembered():
    remembered.cache_clear()
    with pytest.raises(Resolver404):
        resolved("/nothing", "config.urls")
    assert remembered.cache_info().currsize == 0


def test_a_program_learns_that_answers_depend_on_the_origin_and_nothing_else_of_it(client):
    headers = client.get("/healthz").headers
    assert headers["Vary"] == "origin"
    assert [name for name in headers if name.startswith("Access-Control")] == []


def test_a_page_of_an_allowed_origin_may_read_answers_and_the_headers_of_lists(client, settings):
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    headers = client.get("/healthz", headers={"Origin": "https://shop.example"}).headers
    assert headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert headers["Access-Control-Expose-Headers"] == ", ".join(settings.CORS_EXPOSE_HEADERS)
    assert headers["Vary"] == "origin"


def test_a_page_of_another_origin_may_not_read_answers(client, settings):
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    headers = client.get("/healthz", headers={"Origin": "https://other.example"}).headers
    assert [name for name in headers if name.startswith("Access-Control")] == []


def test_a_browser_that_asks_before_it_sends_is_told_what_it_may_send(client, settings):
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    answer = client.options("/customer-segment/acme/segments", headers=asked)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Access-Control-Allow-Headers"] == ", ".join(settings.CORS_ALLOW_HEADERS)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/customer-segment/acme/segments", "GET, POST, HEAD, OPTIONS"),
        ("/coupon/acme/coupons/TEN/redemptions/", "GET, POST, HEAD, OPTIONS"),
        ("/oauth/token", "POST, OPTIONS"),
    ],
)
def test_an_address_says_which_methods_it_has(client, path, methods):
    answer = client.options(path)
    assert (answer.status_code, answer.content, answer["Allow"]) == (204, b"", methods)


def test_the_page_of_the_documentation_is_only_read(client):
    answer = client.options("/docs")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/customer-segment/acme/segments"])
def test_answers_of_the_api_carry_the_headers_of_security(client, path):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_browsers_may_send_and_read_the_headers_of_the_api(client, settings):
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "prefer, if-match, traceparent, x-request-id, if-min-revision",
    }
    preflight = client.options("/customer-segment/acme/segments", headers=asked)
    allowed = preflight["Access-Control-Allow-Headers"].split(", ")
    assert set(asked["Access-Control-Request-Headers"].split(", ")) <= set(allowed)
    answer = client.get("/customer-segment/acme/segments", headers=asked)
    exposed = answer["Access-Control-Expose-Headers"].split(", ")
    assert {"Retry-After", "X-Request-Id", "X-Revision", "Cache-Groups", "ETag", "Location"} <= set(exposed)
