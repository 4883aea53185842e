from collections.abc import Callable

import pytest

from accounts.identity.scopes import COUPON_READ, SEGMENT_MANAGE, SEGMENT_READ
from accounts.models import Site
from segments.rules import previews
from tests.conftest import Api


@pytest.fixture
def manager(service_api: Callable[..., Api], site: Site) -> Api:
    return service_api(SEGMENT_MANAGE)


@pytest.fixture
def reader(service_api: Callable[..., Api], site: Site) -> Api:
    return service_api(SEGMENT_READ)


@pytest.fixture
def coupon_reader(service_api: Callable[..., Api], site: Site) -> Api:
    return service_api(SEGMENT_READ, COUPON_READ)


@pytest.fixture(autouse=True)
def previews_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let previews count to the end on a machine that is busy."""
    monkeypatch.setattr(previews, "LONGEST", previews.PATIENT)
