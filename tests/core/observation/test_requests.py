"""Every request has an id, a line in the access log and a place in the metrics."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from accounts.identity.scopes import SEGMENT_MANAGE
from core.observation.access_log import AccessLine, access_log
from core.observation.log_lines import JsonFormatter
from core.observation.metrics import REGISTRY
from core.observation.requests import NO_ROUTE, route_name
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, SiteFactory

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def lines(settings, monkeypatch) -> Iterator[Callable[[], list[dict]]]:
    """The lines of the access log, and those of all loggers, as JSON."""
    settings.ACCESS_LOG = True
    written = io.StringIO()
    monkeypatch.setattr(access_log, "stream", lambda: written)
    monkeypatch.setattr(access_log, "format", AccessLine.as_json)
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def api(service_api) -> Api:
    return service_api(SEGMENT_MANAGE)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_line_says_who_asked_for_what_and_what_it_took(api, tenant: Tenant, lines) -> None:
    SiteFactory(tenant=tenant, code="main", is_default=True)
    response = api.get(f"/customer-segment/{tenant.name}/segments", headers={"X-Request-Id": "shop-7:a"})
    assert (response.status_code, response["X-Request-Id"]) == (200, "shop-7:a")
    [line] = lines()
    assert line.pop("ms") >= line.pop("waited_ms") == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "logger": "access",
        "request_id": "shop-7:a",
        "method": "GET",
        "route": "/customer-segment/{tenant}/segments",
        "status": 200,
        "statements": 1,
        "tenant": "acme",
        "client": "test-client-acme",
        "caller": "service",
    }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Request-Id": "a" * 64}, "a" * 64),
        ({"X-Request-Id": "a" * 65}, "[0-9a-f]{16}"),
        ({"X-Request-Id": 'a"\n{'}, "[0-9a-f]{16}"),
        ({}, "[0-9a-f]{16}"),
        ({"traceparent": TRACEPARENT}, TRACE),
        ({"traceparent": TRACEPARENT, "X-Request-Id": "own"}, "own"),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, "[0-9a-f]{16}"),
        ({"traceparent": TRACEPARENT.replace("00-", "ff-", 1)}, "[0-9a-f]{16}"),
        ({"traceparent": f"01-{TRACE}-00f067aa0ba902b7-01-more"}, TRACE),
    ],
)
def test_an_id_is_taken_over_or_made(headers: dict[str, str], expected: str) -> None:
    response = Client().get("/healthz", headers=headers)
    assert re.fullmatch(expected, response["X-Request-Id"])


@pytest.mark.parametrize("path", ["/nothing", "/oauth/token", "/static/none.css", "/admin/login/"])
def test_every_response_has_an_id(db: None, path: str) -> None:
    assert Client().get(path, headers={"X-Request-Id": "known"})["X-Request-Id"] == "known"


def test_a_wrong_host_has_an_id_and_a_line_too(lines) -> None:
    response = Client().get("/oauth/token", headers={"Host": "evil.example", "X-Request-Id": "e"})
    assert (response.status_code, response["X-Request-Id"]) == (400, "e")
    warning, line = lines()
    assert (warning["logger"], warning["request_id"]) == ("django.security.DisallowedHost", "e")
    assert (line["route"], line["status"]) == (NO_ROUTE, 400)


def test_the_journal_names_the_id_of_the_response(api, tenant: Tenant) -> None:
    SiteFactory(tenant=tenant, code="main", is_default=True)
    response = api.post(
        f"/customer-segment/{tenant.name}/segments",
        {"id": "gold", "name": {"en": "Gold"}, "siteCode": "main", "status": "ACTIVE"},
    )
    assert response.status_code == 201
    history = api.get(f"/customer-segment/{tenant.name}/segments/gold/history").json()
    assert history[0]["source"]["id"] == response["X-Request-Id"]


def test_probes_are_counted_but_not_logged(db: None, lines) -> None:
    before = value("segments_http_request_seconds_count", route="/readyz", method="GET", status="200")
    assert Client().get("/readyz").status_code == 200
    assert lines() == []
    after = value("segments_http_request_seconds_count", route="/readyz", method="GET", status="200")
    assert after == before + 1


def test_addresses_that_lead_nowhere_and_odd_methods_share_one_label(db: None) -> None:
    labels = {"route": NO_ROUTE, "method": "GET", "status": "404"}
    before = value("segments_http_request_seconds_count", **labels)
    Client().get("/nothing/1")
    Client().get("/nothing/2")
    assert value("segments_http_request_seconds_count", **labels) == before + 2
    Client().generic("BREW", "/nothing/3")
    assert value("segments_http_request_seconds_count", **{**labels, "method": "other"}) == 1


def test_statements_are_counted_by_route(api, tenant: Tenant) -> None:
    route = "/customer-segment/{tenant}/segments"
    before = value("segments_http_request_statements_sum", route=route)
    api.get(f"/customer-segment/{tenant.name}/segments")
    assert value("segments_http_request_statements_sum", route=route) == before + 1


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("coupon/<tenant>/coupons/<str:code>", "/coupon/{tenant}/coupons/{code}"),
        ("admin/segments/segment/<path:object_id>/change/", "/admin/segments/segment/{object_id}/change/"),
        ("admin/(?P<url>.*)$", "/admin/{url}"),
        ("", "/"),
    ],
)
def test_a_route_is_named_as_in_the_openapi_document(pattern: str, name: str) -> None:
    assert route_name(pattern) == name


def test_no_log_has_a_token_a_password_or_a_body(api, tenant: Tenant, lines, caplog) -> None:
    secrets = ["hunter2-secret", "s3cr3t-value", "Sesame-Road-12", "refresh-4711-secret"]
    CustomerFactory(tenant=tenant, external_id="7")
    token = api.headers["Authorization"].split()[1]
    client = Client()
    client.post(
        "/oauth/token",
        {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": secrets[1]},
    )
    client.post(
        f"/customer/{tenant.name}/login",
        json.dumps({"email": "a@example.com", "password": secrets[0]}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    client.get("/customerlogin/auth/refreshtoken", {"tenant": tenant.name, "refreshToken": secrets[3]})
    api.post(f"/customer-segment/{tenant.name}/segments", {"name": secrets[2]})
    client.post("/admin/login/", {"username": "x", "password": secrets[0]})
    for text in (
        f"sent Authorization: Bearer {token}",
        f"password={secrets[0]}&x=1",
        f'{{"client_secret": "{secrets[1]}"}}',
        f"cannot reach postgres://segments:{secrets[0]}@db/segments",
    ):
        logging.getLogger("core").error("%s", text)
    try:
        raise ValueError(f"duplicate key\nDETAIL:  Key (street)=({secrets[2]}) already exists.")
    except ValueError:
        logging.getLogger("core").exception("A request failed.")
    logged = json.dumps(lines())
    assert len(lines()) >= 9
    assert [secret for secret in (*secrets, token) if secret in logged] == []
    assert "duplicate key" in logged


def test_a_log_line_of_any_logger_names_its_request(api, tenant: Tenant, lines, monkeypatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise RuntimeError("broken")

    api.client.raise_request_exception = False
    monkeypatch.setattr("core.api.viewsets.ContractViewSet.declared_operation", fail)
    response = api.get(f"/customer-segment/{tenant.name}/segments", headers={"X-Request-Id": "r-1"})
    assert response.status_code == 500
    failed = next(line for line in lines() if line["level"] == "ERROR")
    assert (failed["request_id"], failed["route"]) == ("r-1", "/customer-segment/{tenant}/segments")
    assert "RuntimeError: broken" in failed["details"]


def test_lines_that_cannot_be_written_are_dropped_and_counted(monkeypatch) -> None:
    monkeypatch.setattr(access_log, "is_started", True)
    monkeypatch.setattr("core.observation.access_log.MOST_WAITING", 2)
    line = AccessLine(0.0, "a", "", "GET", "/", 200, 0.001, 0.0, 1)
    before = value("segments_access_log_lines_dropped_total")
    for _ in range(5):
        access_log.add(line)
    assert len(access_log.waiting) == 2
    access_log.waiting.clear()
    assert value("segments_access_log_lines_dropped_total") == before + 3


def test_a_line_for_people() -> None:
    line = AccessLine(0.5, "a1", "", "GET", "/", 200, 0.00123, 0.0, 1, "acme", "shop", "service")
    assert line.as_text() == (
        "1970-01-01T00:00:00.500Z INFO access: GET / 200 1.2 ms, 1 statements, id a1, acme service shop"
    )
