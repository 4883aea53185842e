"""Taking changes back through the API."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity.scopes import (
    CATEGORY_MANAGE,
    CATEGORY_PUBLISH,
    COUPON_MANAGE,
    SEGMENT_MANAGE,
    SERVICE_SCOPES,
)
from core.journal.models import Change
from core.journal.undo import plans
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.segments import SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
CHANGES = "/customer-segment/acme/changes"


@pytest.fixture
def gold(site):
    return SegmentFactory(site=site, external_id="gold", name={"en": "Gold"})


def last(name, kind):
    return Change.objects.filter(object=name, kind=kind).order_by("-id").first()


def add(api, tenant, *names):
    for name in names:
        CustomerFactory(tenant=tenant, external_id=name)
    api.put(f"{SEGMENTS}/gold/customers/bulk", [{"customerId": name} for name in names])
    return last("segment-customer", "created")


def test_an_undo_says_what_it_took_back_and_what_it_left_alone(api, tenant, gold):
    added = add(api, tenant, "C1", "C2")
    api.put(f"{SEGMENTS}/gold/customers/C2", {"mixins": {"a": 1}})
    with CaptureQueriesContext(connection) as queries:
        answer = api.post(f"{CHANGES}/{added.id}/undo", headers={"X-Request-Id": "r-9"})
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "takenBackCount": 1,
        "takenBack": [{"object": "segment-customer", "kind": "created", "count": 1}],
        "leftAloneCount": 1,
        "leftAlone": [
            {
                "changeId": added.id,
                "object": {"type": "segment-customer", "id": "gold"},
                "reason": "it was changed since",
                "count": 1,
                "members": ["C2"],
            }
        ],
    }
    assert len(queries) <= 14
    written = last("segment-customer", "deleted")
    assert (written.source_type, written.source_id) == ("undo", str(added.id))
    assert (written.actor_type, written.actor_id) == ("client", "test-client-acme")


def undoable(api, **query):
    return {(row["object"]["type"], row["kind"]): row["undoable"] for row in api.get(CHANGES, **query).json()}


def test_histories_say_what_can_be_taken_back(api, tenant, gold):
    added = add(api, tenant, "C1")
    assert undoable(api)["segment-customer", "created"]
    assert not undoable(api)["segment", "created"]  # it has a member
    assert not undoable(api)["customer", "created"]
    api.post(f"{CHANGES}/{added.id}/undo")
    found = undoable(api)
    assert not found["segment-customer", "created"]
    assert found["segment-customer", "deleted"]
    assert found["segment", "created"]
    api.delete(f"{SEGMENTS}/gold")
    assert undoable(api)["segment", "deleted"]
    SegmentFactory(site=gold.site, external_id="silver")
    rows = api.get(f"{SEGMENTS}/gold/history").json()
    assert [row["undoable"] for row in rows if row["object"]["type"] == "segment"] == [True, False]


def test_an_undo_needs_the_scope_of_what_it_writes(service_api, tenant, gold):
    change = last("segment", "created")
    refused = service_api(COUPON_MANAGE).post(f"{CHANGES}/{change.id}/undo")
    assert (refused.status_code, SEGMENT_MANAGE in refused.content.decode()) == (403, True)
    CategoryFactory(tenant=tenant, external_id="K1", is_published=True)
    manager = service_api(CATEGORY_MANAGE)
    assert manager.delete("/category/acme/categories/K1").status_code < 300
    path = f"{CHANGES}/{last('category', 'deleted').id}/undo"
    refused = manager.post(path)
    assert (refused.status_code, CATEGORY_PUBLISH in refused.content.decode()) == (403, True)
    assert service_api(CATEGORY_MANAGE, CATEGORY_PUBLISH).post(path).json()["takenBackCount"] == 1


@pytest.mark.parametrize("name", ["0", "nonsense", "99999999999999999999", "12345678"])
def test_an_unknown_change_is_not_found(api, name):
    assert api.post(f"{CHANGES}/{name}/undo").status_code == 404


def test_what_cannot_be_taken_back_is_refused_with_the_reason(api, tenant, gold):
    CustomerFactory(tenant=tenant)
    answer = api.post(f"{CHANGES}/{last('customer', 'created').id}/undo")
    assert answer.status_code == 400
    assert "customer cannot be taken back" in answer.content.decode()


def test_a_change_of_another_tenant_is_not_found(api, other_tenant, gold):
    foreign = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    change = Change.objects.get(object="segment", key=foreign.pk)
    assert api.post(f"{CHANGES}/{change.id}/undo").status_code == 404


@pytest.mark.usefixtures("real_time")
def test_a_large_undo_is_done_in_the_background(api, service_api, other_tenant, tenant, gold, monkeypatch):
    monkeypatch.setattr(plans, "LARGEST_AT_ONCE", 2)
    add(api, tenant, "C1", "C2")
    add(api, tenant, "C3", "C4")
    api.delete(f"{SEGMENTS}/gold?forceDelete=true")
    answer = api.post(f"{CHANGES}/{last('segment', 'deleted').id}/undo")
    assert answer.status_code == 202, answer.content
    assert answer.json()["state"] == "queued"
    address = answer["Location"]
    call_command("work", "--once", stdout=StringIO())
    job = api.get(address).json()
    assert (job["state"], job["takenBackCount"], job["leftAlone"]) == ("done", 5, [])
    assert job["progress"] == {"steps": 2, "ofSteps": 2}
    assert gold.customer_assignments.count() == 4
    written = last("segment-customer", "created")
    assert (written.actor_type, written.actor_id, written.source_type) == (
        "client",
        "test-client-acme",
        "undo",
    )
    foreign = service_api(*SERVICE_SCOPES, tenant=other_tenant)
    assert foreign.get(address.replace("acme", "globex")).status_code == 404


def test_a_client_may_ask_for_the_background(api, tenant, gold):
    path = f"{CHANGES}/{add(api, tenant, 'C1').id}/undo"
    assert api.post(path, headers={"Prefer": "respond-async"}).status_code == 202
    assert gold.customer_assignments.count() == 1
