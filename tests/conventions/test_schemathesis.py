"""Requests that Schemathesis makes from the generated schema, sound and faulty ones, over all routes.

Whatever is sent, no answer is 5xx, and each has a status and a body that the schema documents.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.identity.scopes import SERVICE_SCOPES
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.conventions.test_foreign_tenants import make_world

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
SCHEMA.app = get_wsgi_application()
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
WORDS = {word for operation in OPERATIONS for word in operation.path.split("/") if "{" not in word}
"""Words of addresses: an id of that name, such as `search`, would lead to another operation."""


@pytest.fixture
def open_connection() -> Iterator[None]:
    """Keep the test's own connection from being closed with each request, as Django's client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def api(open_connection: None, tenant: Tenant, service_api: Callable[..., Api]) -> Api:
    make_world(tenant, "own", "shown")
    return service_api(*SERVICE_SCOPES)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_documented(api: Api, operation: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    kinds = st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    strategies = {
        kind: operation.as_strategy(generation_mode=kind)
        for kind in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    }

    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), kind=kinds, names_own=st.booleans())
    def answers_are_documented(data: st.DataObject, kind: GenerationMode, names_own: bool) -> None:
        case = data.draw(strategies[kind])
        for name in case.path_parameters or {}:
            if name == "tenant":
                case.path_parameters[name] = "acme"
            elif names_own or str(case.path_parameters[name]) in WORDS:
                case.path_parameters[name] = "product" if name == "type" else "own"
        with transaction.atomic():
            case.call_and_validate(headers=api.headers, checks=CHECKS)
            transaction.set_rollback(True)

    answers_are_documented()
