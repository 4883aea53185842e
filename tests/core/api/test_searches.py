"""What searches may cost, and compound queries against the database."""

from unittest import mock

import pytest

from accounts.identity.scopes import CATEGORY_MANAGE, SEGMENT_READ
from core.api import searches
from core.errors import Overloaded
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from tests.factories.catalog import ProductFactory
from tests.factories.segments import SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
PRODUCTS = "/product/acme/products"
NESTED = "name.en:~(((a|e|i|o|u|.)*){20}zzz)"


@pytest.fixture
def segments(site):
    for segment_id, name, description in (
        ("a", {"en": "Anna"}, {"en": "first"}),
        ("b", {"en": "Berta"}, {"en": "second"}),
        ("c", {"en": "Cora"}, {}),
    ):
        SegmentFactory(site=site, external_id=segment_id, name=name, description=description)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("compoundLogicalQuery:((id:a) OR (name.en:Berta))", "ab"),
        ("compoundLogicalQuery:(((id:a) OR (id:b)) AND (description.en:second))", "b"),
        ("compoundLogicalQuery:((id:a) OR (id:b) AND (description.en:first))", "a"),
        ("compoundLogicalQuery:(NOT (description.en:first))", "bc"),
        ("compoundLogicalQuery:(NOT (id:a name.en:Anna)) siteCode:main", "bc"),
        ("compoundLogicalQuery:((description:missing) OR (siteCode:main id:b))", "bc"),
    ],
)
def test_compound_queries_find_rows(service_api, segments, q, found):
    api = service_api(SEGMENT_READ)
    assert "".join(row["id"] for row in api.get(SEGMENTS, q=q).json()) == found
    assert "".join(row["id"] for row in api.post(f"{SEGMENTS}/search", {"q": q}).json()) == found


def test_an_unknown_field_of_a_compound_query_is_named(service_api, segments):
    refused = service_api(SEGMENT_READ).get(SEGMENTS, q="compoundLogicalQuery:((id:a) OR (colour:red))")
    assert refused.status_code == 400
    assert "Fault in q at character 34: there is no field colour." in refused.json()["message"]


@pytest.mark.parametrize(
    ("q", "reason"),
    [
        (NESTED, "Fault in q at character 11: nested quantifiers are not allowed here."),
        ("name.en:~.*", "Fault in q at character 10: a regular expression needs a literal character here."),
        ("compoundLogicalQuery:((id:x) OR (name.en:~.*))", "needs a literal character here."),
    ],
)
def test_expensive_expressions_are_for_services(anonymous_api, service_api, tenant, q, reason):
    ProductFactory(tenant=tenant, external_id="p1", name={"en": "Pizza"}, is_published=True)
    refused = anonymous_api.get(PRODUCTS, q=q)
    assert refused.status_code == 400
    assert reason in str(refused.json())
    assert service_api(CATEGORY_MANAGE).get(PRODUCTS, q=q).status_code == 200


def test_shoppers_search_with_other_expressions_within_300_ms(anonymous_api, tenant):
    ProductFactory(tenant=tenant, external_id="p1", name={"en": "Pizza"}, is_published=True)
    seen = []

    def recorded(statement, **options):
        seen.append(fetch_rows(Sql("SHOW statement_timeout")))
        return fetch_rows(statement, **options)

    with mock.patch("core.representation.pages.fetch_rows", recorded):
        answer = anonymous_api.get(PRODUCTS, q="name.en:~^Pi.*a$")
    assert [row["id"] for row in answer.json()] == ["p1"]
    assert seen == [[("300ms",)]]


def test_a_search_that_runs_too_long_is_400(anonymous_api, tenant):
    slow = Sql("(SELECT pg_sleep(2)) IS NULL")
    with mock.patch("core.representation.fields.compare", return_value=slow):
        ProductFactory(tenant=tenant, is_published=True)
        refused = anonymous_api.get(PRODUCTS, q="code:~abc")
    assert refused.status_code == 400
    assert "narrow the search" in refused.json()["message"]


def test_beyond_its_slots_a_process_refuses_for_a_moment(anonymous_api, service_api, tenant):
    with searches.public_search():
        refused = anonymous_api.get(PRODUCTS, q="code:~abc")
        assert (refused.status_code, refused["Retry-After"]) == (503, "1")
        assert anonymous_api.get(PRODUCTS, q="code:abc").status_code == 200
        assert service_api(CATEGORY_MANAGE).get(PRODUCTS, q="code:~abc").status_code == 200
        with pytest.raises(Overloaded), searches.public_search():
            pass
    assert anonymous_api.get(PRODUCTS, q="code:~abc").status_code == 200
