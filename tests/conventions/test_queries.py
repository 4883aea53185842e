"""Every search takes every form of `q` on each of its fields: it finds something, or names the fault.

Generated over all routes of the schema that take a body `{"q": "..."}`.
"""

from collections.abc import Callable, Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.identity.scopes import SERVICE_SCOPES
from core.api.schema import searched_fields
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.conventions.test_foreign_tenants import make_world


def searches(patterns: list[URLPattern | URLResolver], above: str = "") -> Iterator[tuple[str, list[str]]]:
    for pattern in patterns:
        path = above + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from searches(pattern.url_patterns, path)
        elif "search" in getattr(pattern.callback, "actions", {}).values():
            yield path, searched_fields(pattern.callback.cls.resource)


SEARCHES = dict(searches(get_resolver().url_patterns))
VALUES = st.sampled_from(
    ["x", "5", "-1.5", "true", '"a b"', '""', "now", "now-30d", "today+1w", "today-9999y", '"now-1d"', "null"]
) | st.text(max_size=5).map(lambda text: '"{}"'.format(text.replace("\\", "").replace('"', "")))
OPERATORS = st.sampled_from(["", ">", ">=", "<", "<="])
COMPARISONS = st.builds("{}{}".format, OPERATORS, VALUES)
TESTS = (
    COMPARISONS
    | st.lists(VALUES, min_size=1, max_size=3).map(lambda values: f"({','.join(values)})")
    | st.builds("({} AND {})".format, COMPARISONS, COMPARISONS)
    | st.sampled_from(["exists", "missing", "null", "~a", "(~a b)", "~[0-9]{2}$"])
)


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.builds("({}) AND ({})".format, inner, inner)
        | st.builds("({}) OR ({})".format, inner, inner)
        | st.builds("NOT ({})".format, inner)
    )


def test_all_searches_are_known():
    assert len(SEARCHES) > 5


@pytest.mark.parametrize("path", SEARCHES)
def test_a_query_is_answered_or_its_fault_is_named(
    tenant: Tenant, service_api: Callable[..., Api], path: str
) -> None:
    make_world(tenant, "own", "shown")
    api = service_api(*SERVICE_SCOPES)
    address = "/" + path.replace("<str:tenant>", "acme").replace("<tenant>", "acme")
    while "<" in address:
        address = address[: address.index("<")] + "own" + address[address.index(">") + 1 :]
    fields = st.sampled_from([*SEARCHES[path], "mixins.a.b", "nothing"])
    terms = st.builds("{}:{}".format, fields, TESTS)
    queries = terms | st.recursive(terms, compound, max_leaves=4).map("compoundLogicalQuery:({})".format)

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(queries)
    def is_answered(q: str) -> None:
        answer = api.post(address, {"q": q})
        assert answer.status_code in (200, 400), (q, answer.content)
        if answer.status_code == 400:
            assert "q" in answer.content.decode()

    is_answered()
