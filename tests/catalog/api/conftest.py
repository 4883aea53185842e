from collections.abc import Callable

import pytest

from accounts.identity.scopes import CATEGORY_READ_UNPUBLISHED
from tests.conftest import Api


@pytest.fixture
def public_api(service_api: Callable[..., Api]) -> Api:
    """A service whose token has no scopes."""
    return service_api()


@pytest.fixture
def staff_api(service_api: Callable[..., Api]) -> Api:
    """A service that may see unpublished categories."""
    return service_api(CATEGORY_READ_UNPUBLISHED)
