"""Segments over HTTP: whole bodies, and one refusal of each kind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import SEGMENT_READ_OWN
from accounts.models import Customer, Site
from core.json_types import JsonObject
from core.tenancy.identifiers import CLIENT_ID
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.operations import segments as segment_operations
from tests.conftest import Api, Clock
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
BODY = {
    "id": "gold",
    "name": {"en": "Gold"},
    "description": {"en": "Best customers"},
    "validity": {"from": "2024-04-17T08:00:00.000Z", "to": "2025-04-17T08:00:00.000Z"},
    "status": "ACTIVE",
    "siteCode": "main",
    "mixins": {"look": {"colour": "gold", "rank": 1.5}},
    "metadata": {"mixins": {"look": "https://example.com/look.json"}},
}


GOLD = {
    "id": "gold",
    "name": {"en": "Gold", "de": "Gold!"},
    "description": {"en": "Best"},
    "validity": {"from": "2024-04-17T08:00:00.000Z"},
    "status": "ACTIVE",
    "siteCode": "main",
    "metadata": {
        "createdAt": "2024-05-14T12:00:00.000Z",
        "modifiedAt": "2024-05-14T12:00:00.000Z",
        "version": 1,
    },
}


def test_a_created_segment_is_read_back_whole(manager: Api) -> None:
    created = manager.post(SEGMENTS, BODY)
    read = manager.get(f"{SEGMENTS}/gold")

    assert (created.status_code, created.json()) == (201, {"id": "gold"})
    body = read.json()
    stamps = body["metadata"].pop("createdAt"), body["metadata"].pop("modifiedAt")
    assert stamps[0] == stamps[1]
    assert body == {**BODY, "metadata": {"version": 1, **BODY["metadata"]}}


def test_a_segment_needs_only_a_name_and_a_site(manager: Api) -> None:
    created = manager.post(
        SEGMENTS,
        {"name": "Plain", "siteCode": "main", "description": None, "validity": None, "metadata": None},
        headers={"Content-Language": "de"},
    )
    segment_id = created.json()["id"]
    body = manager.get(f"{SEGMENTS}/{segment_id}").json()

    assert CLIENT_ID.fullmatch(segment_id)
    assert body["name"] == {"de": "Plain"}
    assert body["status"] == "INACTIVE"
    assert set(body) == {"id", "name", "status", "siteCode", "metadata"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "name is missing."),
        ({"name": 5}, "name must be a map of language to text, or a text."),
        ({"siteCode": None}, "siteCode is missing."),
        ({"siteCode": "moon"}, "There is no site moon."),
        ({"status": "ON"}, "status must be ACTIVE or INACTIVE."),
        ({"validity": {"from": "2024-01-01"}}, None),
        (
            {"validity": {"from": "2025-01-01T00:00:00Z", "to": "2024-01-01T00:00:00Z"}},
            "validity.from must not be later than validity.to.",
        ),
        ({"mixins": []}, "mixins must be an object."),
        ({"metadata": 5}, "metadata must be an object."),
        ({"metadata": {"mixins": "x"}}, "metadata.mixins must be an object."),
        ({"metadata": {"version": True}}, "metadata.version must be a whole number."),
        ({"id": "a b"}, None),
    ],
)
def test_a_segment_that_breaks_a_rule_is_refused(
    manager: Api, change: JsonObject, message: str | None
) -> None:
    answer = manager.post(SEGMENTS, {**BODY, **change})

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["status"]) == (400, "Bad Request")
    if message:
        assert answer.json()["message"] == message
    assert not Segment.objects.exists()


def test_a_taken_id_is_refused(manager: Api, gold: Segment) -> None:
    answer = manager.post(SEGMENTS, BODY)

    assert answer.status_code == 409
    assert answer.json() == {
        "code": 409,
        "status": "Conflict",
        "message": "The resource already exists.",
        "resourceId": "gold",
    }
    gold.refresh_from_db()
    assert gold.name == {"en": "Gold", "de": "Gold!"}


def test_ids_of_another_tenant_are_free(manager: Api, other_tenant: Tenant) -> None:
    SegmentFactory(site=SiteFactory(tenant=other_tenant), external_id="gold")

    assert manager.post(SEGMENTS, BODY).status_code == 201


def test_an_upsert_creates_then_replaces(manager: Api, clock: type[Clock]) -> None:
    body = {key: value for key, value in BODY.items() if key != "id"}
    created = manager.put(f"{SEGMENTS}/gold", body)
    clock.advance(timedelta(seconds=1))
    replaced = manager.put(f"{SEGMENTS}/gold", {"name": {"en": "New"}, "siteCode": "main"})
    stored = manager.get(f"{SEGMENTS}/gold").json()

    assert (created.status_code, created.json()) == (201, {"id": "gold"})
    assert (replaced.status_code, replaced.content) == (204, b"")
    assert stored["metadata"]["version"] == 2
    assert stored["metadata"]["createdAt"] < stored["metadata"]["modifiedAt"]
    del stored["metadata"]
    assert stored == {"id": "gold", "name": {"en": "New"}, "status": "INACTIVE", "siteCode": "main"}


def test_an_upsert_of_another_version_is_refused(manager: Api, gold: Segment) -> None:
    body = {"name": {"en": "New"}, "siteCode": "main", "metadata": {"version": 7}}
    answer = manager.put(f"{SEGMENTS}/gold", body)

    assert answer.status_code == 409
    assert answer.json()["resourceId"] == "gold"
    gold.refresh_from_db()
    assert (gold.version, gold.name["en"]) == (1, "Gold")


def test_a_version_given_for_a_new_segment_is_ignored(manager: Api) -> None:
    body = {"name": {"en": "New"}, "siteCode": "main", "metadata": {"version": 7}}

    assert manager.put(f"{SEGMENTS}/gold", body).status_code == 201
    assert Segment.objects.get().version == 1


def test_an_upsert_whose_body_names_another_id_is_refused(manager: Api) -> None:
    answer = manager.put(f"{SEGMENTS}/silver", BODY)

    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "The id in the body is not the one in the path.",
    )
    assert not Segment.objects.exists()


def test_a_json_patch_changes_what_it_names(manager: Api, gold: Segment) -> None:
    answer = manager.patch(
        f"{SEGMENTS}/gold",
        [
            {"op": "replace", "path": "/status", "value": "INACTIVE"},
            {"op": "replace", "path": "/name/en", "value": "Golden"},
            {"op": "remove", "path": "/description"},
            {"op": "add", "path": "/mixins/look", "value": {"rank": 15}},
        ],
    )

    assert (answer.status_code, answer.content) == (204, b"")
    body = manager.get(f"{SEGMENTS}/gold").json()
    assert body["metadata"].pop("modifiedAt") > "2024-05-14T12:00:00.000Z"
    assert body == {
        "id": "gold",
        "name": {"en": "Golden", "de": "Gold!"},
        "validity": {"from": "2024-04-17T08:00:00.000Z"},
        "status": "INACTIVE",
        "siteCode": "main",
        "mixins": {"look": {"rank": 15}},
        "metadata": {"createdAt": "2024-05-14T12:00:00.000Z", "version": 2},
    }


def test_a_merge_patch_changes_what_it_holds(manager: Api, gold: Segment) -> None:
    body = {"name": {"de": None}, "validity": {"to": "2030-01-01T00:00:00Z"}, "metadata": {"version": 1}}

    assert manager.patch(f"{SEGMENTS}/gold", body).status_code == 204
    gold.refresh_from_db()
    assert (gold.name, gold.valid_to) == ({"en": "Gold"}, datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([{"op": "replace", "path": "/id", "value": "x"}], 400),
        ([{"op": "replace", "path": "/metadata/createdAt", "value": "2020-01-01T00:00:00Z"}], 400),
        ([{"op": "remove", "path": "/name"}], 400),
        ([{"op": "replace", "path": "/siteCode", "value": "moon"}], 400),
        ({"metadata": {"version": 9}}, 409),
        ("text", 400),
    ],
)
def test_a_patch_that_breaks_a_rule_changes_nothing(
    manager: Api, gold: Segment, body: object, status: int
) -> None:
    assert manager.patch(f"{SEGMENTS}/gold", body).status_code == status
    assert manager.get(f"{SEGMENTS}/gold").json() == GOLD


def test_a_patch_of_an_unknown_segment_is_refused(manager: Api) -> None:
    answer = manager.patch(f"{SEGMENTS}/gold", {"status": "ACTIVE"})

    assert answer.status_code == 404
    assert answer.json() == {
        "code": 404,
        "status": "Not Found",
        "message": "The resource with id gold has not been found.",
        "resourceId": "gold",
    }


def test_a_segment_without_assignments_is_deleted(manager: Api, gold: Segment) -> None:
    answer = manager.delete(f"{SEGMENTS}/gold")

    assert (answer.status_code, answer.content) == (204, b"")
    assert not Segment.objects.exists()


def test_deleting_an_unknown_segment_is_no_fault(manager: Api) -> None:
    assert manager.delete(f"{SEGMENTS}/gold").status_code == 204


@pytest.mark.parametrize("factory", [CustomerAssignmentFactory, ItemAssignmentFactory])
def test_a_segment_with_assignments_is_deleted_only_by_force(
    manager: Api, gold: Segment, factory: Any
) -> None:
    factory(segment=gold)
    refused = manager.delete(f"{SEGMENTS}/gold", forceDelete="false")

    assert refused.status_code == 400
    assert refused.json()["message"] == (
        "The segment gold has customers or items assigned to it; delete it with forceDelete=true."
    )
    assert (CustomerAssignment.objects.count(), ItemAssignment.objects.count()).count(1) == 1
    assert manager.delete(f"{SEGMENTS}/gold", forceDelete="true").status_code == 204
    assert (CustomerAssignment.objects.count(), ItemAssignment.objects.count()) == (0, 0)


def test_a_segment_that_holds_more_than_is_deleted_at_once_stays_and_says_what_to_do(
    manager: Api, gold: Segment, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction would hold its rows longer than others wait, and reach the statement timeout."""
    small = SegmentFactory(site=site, external_id="small")
    CustomerAssignmentFactory.create_batch(2, segment=gold)
    ItemAssignmentFactory(segment=gold)
    CustomerAssignmentFactory(segment=small)
    monkeypatch.setattr(segment_operations, "MOST_DELETED_ALONG", 2)

    refused = manager.delete(f"{SEGMENTS}/gold", forceDelete="true")
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("The segment gold has 3 customers and items; at most ")
    assert "by an import with mode delete" in refused.json()["message"]
    assert CustomerAssignment.objects.filter(segment=gold).count() == 2
    assert manager.delete(f"{SEGMENTS}/small", forceDelete="true").status_code == 204


def test_segments_of_one_request_are_deleted_as_long_as_there_is_room(
    manager: Api, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        CustomerAssignmentFactory(segment=SegmentFactory(site=site, external_id=name))
    SegmentFactory(site=site, external_id="empty")
    monkeypatch.setattr(segment_operations, "MOST_DELETED_ALONG", 2)
    answer = manager.send("delete", f"{SEGMENTS}/bulk?forceDelete=true", ["a", "b", "c", "empty"])
    assert [entry["code"] for entry in answer.json()] == [204, 204, 400, 204]


def test_a_segment_is_listed_searched_and_read_alike(reader: Api, gold: Segment) -> None:
    assert reader.get(SEGMENTS).json() == [GOLD]
    assert reader.post(f"{SEGMENTS}/search", {"q": "siteCode:main"}).json() == [GOLD]
    assert reader.post(f"{SEGMENTS}/search").json() == [GOLD]
    assert reader.get(f"{SEGMENTS}/gold").json() == GOLD


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("id:gold", True),
        ("name.en:Gold", True),
        ("name:~old", True),
        ("name.de:Gold", False),
        ("description.en:exists", True),
        ("description.de:missing", True),
        ("status:(ACTIVE,INACTIVE)", True),
        ("siteCode:outlet", False),
        ('validity.from:<="2024-04-17T08:00:00Z"', True),
        ("validity.to:null", True),
        ("metadata.version:1 status:ACTIVE", True),
        ('metadataModifiedAt:(>="2024-05-14T12:00:00Z" AND <"2024-05-15T00:00:00Z")', True),
        ("mixins.look.rank:>1", False),
    ],
)
def test_segments_are_found_by_every_field(reader: Api, gold: Segment, q: str, found: bool) -> None:
    assert [segment["id"] for segment in reader.get(SEGMENTS, q=q).json()] == (["gold"] if found else [])


def test_a_faulty_q_is_refused_with_its_place(reader: Api) -> None:
    answer = reader.get(SEGMENTS, q="status:ACTIVE colour:red")

    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "Fault in q at character 15: there is no field colour.",
    )


def test_a_search_without_an_object_is_refused(reader: Api) -> None:
    assert reader.post(f"{SEGMENTS}/search", ["q"]).status_code == 400


def test_languages_fields_and_counts_are_as_asked_for(reader: Api, gold: Segment) -> None:
    answer = reader.get(
        SEGMENTS, fields="name", headers={"Accept-Language": "de-CH", "X-Total-Count": "true"}
    )

    assert answer.json() == [{"id": "gold", "name": {"de": "Gold!"}}]
    assert answer["X-Total-Count"] == "1"


def test_an_unknown_segment_is_not_found(reader: Api) -> None:
    assert reader.get(f"{SEGMENTS}/gold").status_code == 404


def test_a_shopper_sees_own_effective_segments_only(
    site: Site, gold: Segment, customer_api: Callable[..., Api]
) -> None:
    customer = CustomerFactory(tenant=site.tenant)
    CustomerAssignmentFactory(segment=gold, customer=customer)
    hidden = SegmentFactory(site=site, external_id="hidden", status="INACTIVE")
    CustomerAssignmentFactory(segment=hidden, customer=customer)
    SegmentFactory(site=site, external_id="strangers")
    shopper = customer_api(customer)

    assert shopper.get(SEGMENTS).json() == [GOLD]
    assert shopper.post(f"{SEGMENTS}/search", {"q": "id:(gold,hidden,strangers)"}).json() == [GOLD]
    assert shopper.get(f"{SEGMENTS}/gold").json() == GOLD
    for segment_id in ("hidden", "strangers", "unknown"):
        assert shopper.get(f"{SEGMENTS}/{segment_id}").json() == {
            "code": 404,
            "status": "Not Found",
            "message": f"The resource with id {segment_id} has not been found.",
            "resourceId": segment_id,
        }


def test_a_service_that_may_read_only_own_segments_sees_none(
    gold: Segment, service_api: Callable[..., Api]
) -> None:
    assert service_api(SEGMENT_READ_OWN).get(SEGMENTS).json() == []


@pytest.mark.parametrize("segments", [1, 20])
@pytest.mark.parametrize(("count", "statements"), [("false", 1), ("true", 2)])
def test_listing_segments_takes_one_statement_and_one_to_count(
    reader: Api,
    site: Site,
    segments: int,
    count: str,
    statements: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    SegmentFactory.create_batch(segments, site=site)
    reader.get(SEGMENTS)
    with django_assert_num_queries(statements):
        answer = reader.get(SEGMENTS, headers={"X-Total-Count": count})
    assert len(answer.json()) == segments


@pytest.mark.parametrize("segments", [1, 20])
def test_a_shoppers_list_takes_two_statements_and_one_while_it_is_kept(
    site: Site,
    customer_api: Callable[..., Api],
    segments: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    customer: Customer = CustomerFactory(tenant=site.tenant)
    for segment in SegmentFactory.create_batch(segments, site=site):
        CustomerAssignmentFactory(segment=segment, customer=customer)
    shopper = customer_api(customer)
    shopper.get(SEGMENTS, siteCode="")  # the token is known
    for statements in (2, 1):
        with django_assert_num_queries(statements):
            answer = shopper.get(SEGMENTS, pageSize="50")
        assert len(answer.json()) == segments


def test_today_of_a_query_begins_in_the_time_zone_of_the_site(
    reader: Api, site: Site, clock: type[Clock], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    Site.objects.filter(pk=site.pk).update(home_base={"timezone": "Asia/Tokyo"})
    SiteFactory(tenant=site.tenant, code="west", home_base={"timezone": "America/New_York"})
    now = clock.at  # 18:30 in Tokyo, 4:30 in New York
    SegmentFactory(site=site, external_id="tokyo", valid_from=now.replace(hour=0) - timedelta(hours=8))
    SegmentFactory(site=site, external_id="new-york", valid_from=now.replace(hour=5))

    def found(q: str, **query: str) -> list[str]:
        return [segment["id"] for segment in reader.get(SEGMENTS, q=q, **query).json()]

    assert found("validity.from:>=today") == ["tokyo", "new-york"]
    assert found("validity.from:>=today", siteCode="west") == ["new-york"]
    assert found("validity.from:>=today", siteCode="unknown") == ["tokyo", "new-york"]
    with django_assert_num_queries(1):
        assert found("validity.from:<now-10h") == ["tokyo"]
