"""The API of rules: saving, preview, evaluation, explanation, exclusions."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.http import HttpResponse

from accounts.identity.scopes import CUSTOMER_READ, SEGMENT_MANAGE, SEGMENT_READ
from accounts.models import Site
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Rule, Segment
from tests.conftest import Api
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory
from tests.segments.rules.settling import settle

GOLD = "/customer-segment/acme/segments/gold"
RULE = f"{GOLD}/rule"
PREVIEWS = "/customer-segment/acme/rule-previews"

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(service_api: Callable[..., Api]) -> Api:
    return service_api(SEGMENT_MANAGE, SEGMENT_READ, CUSTOMER_READ)


@pytest.fixture
def gold(site: Site) -> Segment:
    return SegmentFactory(site=site, external_id="gold")


def test_a_rule_is_saved_read_and_turned_off(api: Api, tenant: Tenant, gold: Segment, now: datetime) -> None:
    CustomerFactory(tenant=tenant, external_id="C1")

    assert api.put(RULE, {"q": "onHold:false"}).status_code == 201
    assert api.get(RULE).json() == {
        "q": "onHold:false",
        "mode": "LIVE",
        "membership": "CUSTOMER",
        "state": "PENDING",
        "evaluatedAt": None,
        "nextDueAt": None,
        "members": None,
        "milliseconds": None,
        "message": None,
        "metadata": {
            "version": 1,
            "createdAt": "2026-03-04T09:30:15.250Z",
            "modifiedAt": "2026-03-04T09:30:15.250Z",
        },
    }
    settle(now)
    read = api.get(RULE).json()
    assert (read["state"], read["members"], read["evaluatedAt"]) == ("READY", 1, "2026-03-04T09:30:15.250Z")
    assert api.get(f"{GOLD}/customers/C1").json()["assignmentType"] == "AUTOMATIC"

    changed = {"q": "onHold:true", "metadata": {"version": 1}}
    assert api.put(RULE, changed).status_code == 204
    assert api.put(RULE, {"q": "onHold:false", "metadata": {"version": 1}}).status_code == 409
    settle(now)
    assert not CustomerAssignment.objects.exists()
    assert api.delete(RULE).status_code == api.delete(RULE).status_code == 204
    assert api.get(RULE).status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"q": ""}, "The rule has no term"),
        ({"q": "nope:1"}, "at character 1: there is no fact nope about customers"),
        ({"q": "onHold:maybe"}, "at character 8: expected true or false"),
        ({"q": "lastName:~a"}, "a LIVE rule has no regular expressions"),
        ({"q": "redemptions.count:top(10%)"}, "top(...) is for SNAPSHOT rules"),
        ({"q": "redemptions.lastAt:top(3)", "mode": "SNAPSHOT"}, "only redemptions.count and"),
        ({"q": "onHold:top(3)"}, "top(...)"),
        ({"q": "segments:(missing)"}, "at character 1: there is no segment missing"),
        ({"q": "segments:gold"}, "in a circle: gold -> gold"),
        ({"q": "redemptions.nope:1"}, "there is no fact redemptions.nope"),
        ({"q": "a" * 4001}, "q"),
        ({"q": "onHold:false " * 51}, "at most 50 terms"),
        ({"q": "compoundLogicalQuery:((((((onHold:true))))))"}, "at most 5 deep"),
        ({"q": "onHold:false", "mode": "SOMETIMES"}, "mode"),
        ({}, "q"),
    ],
)
def test_a_faulty_rule_is_refused(api: Api, gold: Segment, body: JsonObject, said: str) -> None:
    answer = api.put(RULE, body)

    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not Rule.objects.exists()


def test_rules_do_not_follow_each_other_in_a_circle_or_too_deep(api: Api, gold: Segment, site: Site) -> None:
    for name in "abcd":
        SegmentFactory(site=site, external_id=name)

    def save(name: str, q: str) -> HttpResponse:
        return api.put(f"/customer-segment/acme/segments/{name}/rule", {"q": q})

    assert save("a", "onHold:false").status_code == 201
    assert save("b", "segments:a").status_code == 201
    assert save("c", "segments:b").status_code == 201
    assert "would be 4 deep" in save("d", "segments:c").json()["message"]
    assert "in a circle: a -> c -> b -> a" in save("a", "segments:c").json()["message"]


def test_a_tenant_has_two_hundred_live_rules(api: Api, gold: Segment, site: Site, tenant: Tenant) -> None:
    segments = [SegmentFactory(site=site) for _ in range(200)]
    Rule.objects.bulk_create(Rule(tenant=tenant, segment=one, q="onHold:false") for one in segments)

    assert "200 LIVE rules already" in api.put(RULE, {"q": "onHold:false"}).json()["message"]
    assert api.put(RULE, {"q": "onHold:false", "mode": "SNAPSHOT"}).status_code == 201


def test_removing_a_member_by_hand_excludes_them(
    api: Api, tenant: Tenant, gold: Segment, now: datetime
) -> None:
    for name in ("C1", "C2", "C3"):
        CustomerFactory(tenant=tenant, external_id=name)
    api.put(RULE, {"q": "onHold:false"})
    settle(now)

    assert api.delete(f"{GOLD}/customers/C1").status_code == 204
    assert api.delete(f"{GOLD}/customers/bulk", [{"customerId": "C2"}]).status_code == 207
    assert api.put(f"{GOLD}/customers/C3", {}).status_code == 204
    settle(now)

    excluded = api.get(f"{RULE}/exclusions").json()
    assert [one["customerId"] for one in excluded] == ["C1", "C2"]
    assert excluded[0]["excludedBy"].startswith("client ")
    assert api.get(f"{GOLD}/customers/C3").json()["assignmentType"] == "MANUAL"
    assert api.get(f"{GOLD}/customers/C1").status_code == 404
    assert api.delete(f"{RULE}/exclusions/C1").status_code == 204
    settle(now)
    assert api.get(f"{GOLD}/customers/C1").json()["assignmentType"] == "AUTOMATIC"


def test_an_evaluation_is_asked_for_and_followed(
    api: Api, tenant: Tenant, gold: Segment, now: datetime
) -> None:
    CustomerFactory(tenant=tenant, external_id="C1")
    api.put(RULE, {"q": "onHold:false"})

    asked = api.post(f"{RULE}/evaluations")

    assert asked.status_code == 202
    assert asked.json()["state"] == "queued"
    settle(now)
    address = f"{RULE}/evaluations/{asked.json()['id']}"
    found = api.get(address).json()
    assert (found["state"], found["outcome"], found["joined"], found["left"]) == ("done", "evaluated", 1, 0)
    assert api.get(f"{RULE}/evaluations/nope").status_code == 404
    assert api.get(address.replace("gold", "silver")).status_code == 404


def test_a_preview_counts_and_names(api: Api, tenant: Tenant, gold: Segment, now: datetime) -> None:
    held = CustomerFactory(tenant=tenant, external_id="C1", is_on_hold=True)
    CustomerAssignmentFactory(segment=gold, customer=held, assignment_type="AUTOMATIC")
    for name in ("C2", "C3", "C4"):
        CustomerFactory(tenant=tenant, external_id=name, company="Acme" if name == "C2" else "")

    answer = api.post(PREVIEWS, {"q": "onHold:false company:missing", "segmentId": "gold"})

    assert answer.json() == {
        "count": 2,
        "share": 0.5,
        "terms": [{"q": "onHold:false", "count": 3}, {"q": "company:missing", "count": 3}],
        "joins": 2,
        "leaves": 1,
        "sample": [
            {"id": "C3", "name": "John Doe", "email": "c3@example.com"},
            {"id": "C4", "name": "John Doe", "email": "c4@example.com"},
        ],
    }
    assert not Rule.objects.exists()


def test_a_preview_says_what_is_wrong_and_where(api: Api, gold: Segment) -> None:
    answer = api.post(PREVIEWS, {"q": "onHold:false nope:1"})

    assert answer.status_code == 200
    assert answer.json()["fault"] == {
        "position": 14,
        "message": "there is no fact nope about customers; see docs/rules.md.",
    }
    assert api.post(PREVIEWS, {"q": "onHold:false", "segmentId": "nope"}).status_code == 400
    assert api.post(PREVIEWS, {"q": "onHold:false", "siteCode": "nope"}).status_code == 400


def test_an_explanation_shows_each_term(api: Api, tenant: Tenant, gold: Segment, now: datetime) -> None:
    CustomerFactory(tenant=tenant, external_id="C1", mixins={"home": {"kids": 2}})
    api.put(RULE, {"q": "onHold:false mixins.home.kids:>2 redemptions.90d.count:0"})
    settle(now)

    assert api.get(f"{RULE}/explanation?customerId=C1").json() == {
        "isMember": False,
        "assignmentType": None,
        "passes": False,
        "isExcluded": False,
        "excludedAt": None,
        "excludedBy": None,
        "terms": [
            {"q": "onHold:false", "value": False, "passes": True},
            {"q": "mixins.home.kids:>2", "value": 2, "passes": False},
            {"q": "redemptions.90d.count:0", "value": 0, "passes": True},
        ],
    }
    assert api.get(f"{RULE}/explanation?customerId=nope").status_code == 400
    assert api.get(f"{RULE}/explanation").status_code == 400


def test_an_explanation_of_a_rule_about_companies_names_one(
    api: Api, tenant: Tenant, gold: Segment, now: datetime
) -> None:
    entity = LegalEntityFactory(tenant=tenant, external_id="L1", type="COMPANY")
    ContactAssignmentFactory(legal_entity=entity, customer=CustomerFactory(tenant=tenant, external_id="C1"))
    api.put(RULE, {"q": "type:COMPANY", "membership": "LEGAL_ENTITY"})
    settle(now)

    assert api.get(f"{RULE}/explanation?customerId=C1").status_code == 400
    found = api.get(f"{RULE}/explanation?customerId=C1&legalEntityId=L1").json()
    assert (found["isMember"], found["assignmentType"], found["passes"]) == (True, "AUTOMATIC", True)
    assert found["terms"] == [{"q": "type:COMPANY", "value": "COMPANY", "passes": True}]


def test_a_rule_that_waits_for_its_segment_says_so(api: Api, gold: Segment, now: datetime) -> None:
    api.put(RULE, {"q": "onHold:false"})
    changes: list[tuple[dict[str, object], str | None]] = [
        ({"status": "INACTIVE"}, "The segment gold is inactive. The rule is evaluated once it is active."),
        (
            {"status": "ACTIVE", "valid_to": now - timedelta(seconds=1)},
            "The segment gold is over. The rule is evaluated once its end is later.",
        ),
        ({"valid_to": now + timedelta(seconds=1)}, None),
    ]
    for values, message in changes:
        Segment.objects.filter(pk=gold.pk).update(**values)
        read = api.get(RULE).json()
        assert (read["state"], read["message"]) == ("PENDING", message)


def test_a_failed_rule_says_why_and_is_tried_again(
    api: Api, tenant: Tenant, gold: Segment, now: datetime
) -> None:
    SegmentFactory(site=gold.site, external_id="other")
    api.put(RULE, {"q": "segments:other"})
    Rule.objects.update(q="nope:1")  # as if a later version had no such fact any more
    settle(now)

    read = api.get(RULE).json()
    assert (read["state"], read["message"]) == (
        "FAILED",
        "Fault in q at character 1: there is no fact nope about customers; see docs/rules.md.",
    )
    Rule.objects.update(q="onHold:false")
    CustomerFactory(tenant=tenant, external_id="C1")
    settle(now + timedelta(hours=2))
    assert api.get(RULE).json()["state"] == "READY"
    assert CustomerAssignment.objects.count() == 1
