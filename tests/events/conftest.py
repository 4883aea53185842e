from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest
from pytest_django import Settings

from accounts.identity.scopes import WEBHOOK_MANAGE
from core.tenancy.models import Tenant
from events.operations import configuration
from events.sending.addresses import forget_addresses
from tests.conftest import Api
from tests.events.receiver import Receiver, receiving
from tests.events.webhooks import Webhooks


@pytest.fixture
def webhooks(service_api: Callable[..., Api]) -> Api:
    return service_api(WEBHOOK_MANAGE)


@pytest.fixture
def accessible(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let all targets answer HEAD, and return those that were asked."""
    asked: list[str] = []

    def is_accessible(url: str) -> bool:
        asked.append(url)
        return True

    monkeypatch.setattr(configuration, "is_accessible", is_accessible)
    return asked


@pytest.fixture
def local_targets(settings: Settings) -> Iterator[None]:
    """Let webhooks go to servers of the tests."""
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    forget_addresses()
    yield
    forget_addresses()


@pytest.fixture
def receiver(local_targets: None) -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def shop(tenant: Tenant) -> Webhooks:
    return Webhooks(tenant)
