"""What a tenant takes, and how many requests it may send."""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.identity.scopes import SEGMENT_MANAGE
from config.environment import Environment
from core.errors import TooManyAttempts
from core.tenancy import rate_limits as limiting
from core.tenancy.rate_limits import RateLimits, rate_limits
from tests.factories.accounts import CustomerFactory


def run(*words: str) -> str:
    out = StringIO()
    call_command("tenant_usage", *words, stdout=out)
    return out.getvalue()


def test_usage_is_by_tenant_and_table(tenant, other_tenant) -> None:
    CustomerFactory.create_batch(3, tenant=tenant)
    CustomerFactory(tenant=other_tenant)
    found = json.loads(run("--json"))
    rows = {name: {one["table"]: one["rows"] for one in tables} for name, tables in found.items()}
    assert rows["acme"]["accounts_customer"] == 3
    assert rows["globex"]["accounts_customer"] == 1
    sizes = {one["table"]: one["bytes"] for one in found["acme"]}
    assert sizes["accounts_customer"] > 3 * 50
    lines = run("acme").splitlines()
    assert lines[0].split()[:2] == ["accounts_customer", "3"]
    assert lines[-1].split()[:2] == ["acme", f"{sum(rows['acme'].values())}"]
    with pytest.raises(CommandError, match="There is no tenant nobody"):
        run("nobody")


@pytest.fixture
def time(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(limiting, "monotonic", lambda: now[0])
    return now


def test_a_tenant_may_send_its_rate_and_a_burst(time: list[float]) -> None:
    limits = RateLimits()
    limits.configure({"*": 4.0, "large": 40.0}, processes=2)
    for _ in range(4):  # two seconds of two a second
        limits.take("acme")
    with pytest.raises(TooManyAttempts) as refused:
        limits.take("acme")
    assert refused.value.retry_after == 1
    limits.take("globex")  # has a bucket of its own
    time[0] += 0.5
    limits.take("acme")
    with pytest.raises(TooManyAttempts):
        limits.take("acme")
    for _ in range(40):
        limits.take("large")
    with pytest.raises(TooManyAttempts):
        limits.take("large")


def test_without_a_rate_there_is_no_limit(time: list[float]) -> None:
    limits = RateLimits()
    limits.configure({"acme": 1.0}, processes=1)
    for _ in range(100):
        limits.take("globex")


@pytest.fixture
def one_request() -> Iterator[None]:
    rate_limits.configure({"acme": 0.01}, processes=1)
    yield
    rate_limits.configure({}, processes=1)


def test_too_many_requests_are_429(one_request: None, tenant, site, service_api) -> None:
    api = service_api(SEGMENT_MANAGE)
    assert api.get("/customer-segment/acme/segments").status_code == 200
    refused = api.get("/customer-segment/acme/segments")
    assert refused.status_code == 429
    assert 1 < int(refused["Retry-After"]) <= 100


@pytest.mark.parametrize("text", ["acme", "acme=", "=5", "acme=-1", "acme=0", "acme=inf", "acme=nan"])
def test_a_malformed_rate_is_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="such as"):
        Environment({"RATES": text}).rates("RATES")


def test_rates_are_read() -> None:
    assert Environment({"RATES": "*=200, acme=0.5"}).rates("RATES") == {"*": 200.0, "acme": 0.5}
    assert Environment({}).rates("RATES") == {}
