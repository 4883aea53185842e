"""Copies, unions, intersections and differences of members."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from accounts.identity.scopes import SEGMENT_MANAGE
from accounts.models import ContactAssignment, Site
from core.background.models import Job
from core.background.worker import BackgroundWorker
from core.journal.models import Change
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from segments import member_operations
from segments.models import CustomerAssignment, Segment
from tests.conftest import Api
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
DAY = timedelta(days=1)


@pytest.fixture
def shop(site: Site, now: datetime) -> dict[str, Segment]:
    """A has C1, C2 and C3 (for a company too), B has C2 and C4, T has C1 until tomorrow."""
    customers = {
        name: CustomerFactory(tenant=site.tenant, external_id=name) for name in ("C1", "C2", "C3", "C4")
    }
    made = {name: SegmentFactory(site=site, external_id=name) for name in "ABT"}
    for name, members in {"A": "123", "B": "24", "T": "1"}.items():
        for number in members:
            CustomerAssignmentFactory(segment=made[name], customer=customers[f"C{number}"])
    entity = LegalEntityFactory(tenant=site.tenant, external_id="L1")
    ContactAssignmentFactory(customer=customers["C3"], legal_entity=entity)
    CustomerAssignmentFactory(segment=made["A"], customer=customers["C3"], legal_entity=entity)
    CustomerAssignment.objects.filter(segment=made["T"]).update(valid_to=now + DAY)
    CustomerAssignment.objects.filter(segment=made["A"]).update(valid_to=now + 2 * DAY)
    return made


def members(segment_id: str) -> list[str]:
    rows = CustomerAssignment.objects.filter(segment__external_id=segment_id)
    return sorted(f"{row.customer.external_id}{' L1' if row.legal_entity_id else ''}" for row in rows)


def combine(api: Api, target: str = "T", status: int = 200, **body: object) -> JsonObject:
    answer = api.post(f"{SEGMENTS}/{target}/member-operations", body)
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.mark.parametrize(
    ("body", "chosen", "added", "expected"),
    [
        ({"from": ["A"]}, 4, 3, ["C1", "C2", "C3", "C3 L1"]),
        ({"from": ["A", "B"]}, 5, 4, ["C1", "C2", "C3", "C3 L1", "C4"]),
        ({"from": ["A"], "and": ["B"]}, 1, 1, ["C1", "C2"]),
        ({"from": ["A"], "minus": ["B"]}, 3, 2, ["C1", "C3", "C3 L1"]),
        ({"from": ["A", "B"], "minus": ["A", "T"]}, 1, 1, ["C1", "C4"]),
        ({"from": ["T"]}, 1, 0, ["C1"]),
        ({"from": ["A"], "and": ["T"]}, 1, 0, ["C1"]),
    ],
)
def test_a_set_is_counted_first_and_then_added(manager, shop, body, chosen, added, expected):
    before = members("T")
    counted = combine(manager, **body, dryRun=True)
    assert (counted["state"], counted["members"]["value"], counted["added"]["value"]) == (
        "counted",
        chosen,
        added,
    )
    assert members("T") == before
    done = combine(manager, **body)
    assert (done["state"], done["members"], done["added"]) == (
        "done",
        counted["members"],
        counted["added"],
    )
    assert members("T") == expected
    assert combine(manager, **body)["added"]["value"] == 0


def test_validity_is_taken_along_and_who_is_there_keeps_theirs(manager, shop, now):
    combine(manager, **{"from": ["A", "B"]})
    ends = dict(
        CustomerAssignment.objects.filter(segment=shop["T"], legal_entity=None).values_list(
            "customer__external_id", "valid_to"
        )
    )
    assert ends == {"C1": now + DAY, "C2": now + 2 * DAY, "C3": now + 2 * DAY, "C4": None}


def test_a_member_who_is_no_contact_any_more_is_left_out(manager, shop):
    ContactAssignment.objects.all().delete()
    assert combine(manager, **{"from": ["A"]})["members"]["value"] == 3
    assert "C3 L1" not in members("T")


def test_the_result_may_be_a_new_segment(manager, shop):
    create = {"name": {"en": "New"}, "siteCode": "main"}
    query = {"from": ["A"], "minus": ["B"], "create": create}
    assert combine(manager, "new", dryRun=True, **query)["added"]["value"] == 3
    assert not Segment.objects.filter(external_id="new").exists()
    assert combine(manager, "new", **query)["added"]["value"] == 3
    assert Segment.objects.get(external_id="new").status == "INACTIVE"
    assert members("new") == ["C1", "C3", "C3 L1"]


@pytest.mark.parametrize(
    ("target", "body", "status", "field"),
    [
        ("T", {}, 400, "from"),
        ("T", {"from": []}, 400, "from"),
        ("T", {"from": ["A"] * 21}, 400, "from"),
        ("T", {"from": ["A"], "and": ["X"]}, 400, "and"),
        ("T", {"from": ["A"], "minus": ["X"]}, 400, "minus"),
        ("X", {"from": ["A"]}, 404, None),
        (
            "X",
            {"from": ["A"], "create": {"id": "Y", "name": {"en": "Y"}, "siteCode": "main"}},
            400,
            "create.id",
        ),
        ("X", {"from": ["A"], "create": {"name": {"en": "Y"}, "siteCode": "moon"}}, 400, "siteCode"),
    ],
)
def test_what_cannot_be_combined_says_why(manager, shop, target, body, status, field):
    answer = combine(manager, target, status=status, **body)
    assert answer.get("details", {}).get("field") == field
    assert (members("T"), Segment.objects.count()) == (["C1"], 3)


def test_large_sets_are_added_in_slices_by_a_worker(manager, shop, monkeypatch):
    monkeypatch.setattr(member_operations, "SLICE", 2)
    monkeypatch.setattr(member_operations.add_slice, "__kwdefaults__", {"limit": 2})
    queued = combine(manager, status=202, **{"from": ["A", "B"]})
    assert (queued["state"], queued["members"]["value"], members("T")) == ("queued", 5, ["C1"])
    path = f"{SEGMENTS}/T/member-operations/{queued['id']}"
    assert manager.get(path).json()["state"] == "queued"
    worker = BackgroundWorker()
    worker.prepare()
    assert worker.work_once() is True
    part = manager.get(path).json()
    assert (part["state"], part["read"]) == ("running", 2)
    worker.run_until_idle()
    done = manager.get(path).json()
    assert (done["state"], done["read"], done["added"]["value"]) == ("done", 6, 4)
    assert members("T") == ["C1", "C2", "C3", "C3 L1", "C4"]
    written = Change.objects.filter(object="segment-customer", source_type="member-operation")
    assert {(change.actor_type, change.source_id) for change in written} == {("client", queued["id"])}


def test_a_target_that_is_deleted_meanwhile_ends_the_operation(manager, shop):
    queued = combine(manager, status=202, background=True, **{"from": ["A"]})
    Segment.objects.filter(external_id="T")._raw_delete("default")
    BackgroundWorker().run_until_idle()
    found = manager.get(f"{SEGMENTS}/T/member-operations/{queued['id']}").json()
    assert (found["state"], found["error"]) == (
        "failed",
        "The segment that members are added to has been deleted.",
    )


def test_an_operation_is_known_at_its_segment_and_tenant_only(
    manager: Api, service_api: Callable[..., Api], shop: dict[str, Segment], other_tenant: Tenant
) -> None:
    queued = combine(manager, status=202, background=True, **{"from": ["A"]})
    for place, name in (("A", queued["id"]), ("T", "0"), ("T", "x"), ("T", "9" * 30)):
        assert manager.get(f"{SEGMENTS}/{place}/member-operations/{name}").status_code == 404
    foreign = service_api(SEGMENT_MANAGE, tenant=other_tenant)
    path = f"/customer-segment/globex/segments/T/member-operations/{queued['id']}"
    assert foreign.get(path).status_code == 404
    SegmentFactory(site__tenant=other_tenant, external_id="G")
    assert combine(manager, "T", status=400, **{"from": ["G"]})["details"]["field"] == "from"
    assert Job.objects.count() == 1


def test_the_number_of_statements_does_not_depend_on_the_members(manager, shop, django_assert_num_queries):
    for customer in CustomerFactory.create_batch(5, tenant=shop["A"].tenant):
        CustomerAssignmentFactory(segment=shop["A"], customer=customer)
    with django_assert_num_queries(9):  # the segments, the numbers with their time limit, one to write
        combine(manager, **{"from": ["A"]})
