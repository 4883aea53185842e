"""The history of a segment and of its members, and the changes of everything."""

import pytest
from django.contrib.auth.hashers import make_password

from accounts.identity.scopes import (
    COUPON_READ,
    CUSTOMER_READ,
    SEGMENT_MANAGE,
    SEGMENT_READ,
    SEGMENT_READ_OWN,
)
from accounts.models import Customer
from core.actors import Actor, ActorType, acting_as
from core.journal.models import Change
from core.journal.settling import settle_all
from segments.changes import OF_RULES
from segments.models import CustomerAssignment, Rule, RuleExclusion, Segment
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory
from tests.segments.rules.settling import make_rule

SEGMENTS = "/customer-segment/acme/segments"
CHANGES = "/customer-segment/acme/changes"
ADA = Actor(ActorType.STAFF, "ada", "Ada L.", "admin", "r1")


@pytest.fixture
def gold(site):
    return SegmentFactory(site=site, external_id="gold", name={"en": "Gold"})


def shown(answer, *names):
    assert answer.status_code == 200, answer.content
    return [tuple(row.get(name) for name in names) for row in answer.json()]


def test_a_segment_tells_its_changes_and_those_of_its_members(reader, tenant, gold):
    customers = [CustomerFactory(tenant=tenant, external_id=f"C{n}") for n in (1, 2)]
    with acting_as(ADA):
        CustomerAssignment.objects.bulk_create(
            CustomerAssignment(tenant=tenant, segment=gold, customer=customer) for customer in customers
        )
        Segment.objects.filter(pk=gold.pk).update(name={"en": "Golden"}, version=2)
    answer = reader.get(f"{SEGMENTS}/gold/history")
    assert shown(answer, "kind", "object", "count", "members") == [
        ("updated", {"type": "segment", "id": "gold"}, 1, None),
        ("created", {"type": "segment-customer", "id": "gold"}, 2, ["C1", "C2"]),
        ("created", {"type": "segment", "id": "gold"}, 1, None),
    ]
    renamed = answer.json()[0]
    assert (renamed["before"], renamed["after"]) == (
        {"name": {"en": "Gold"}, "metadata.version": 1},
        {"name": {"en": "Golden"}, "metadata.version": 2},
    )
    assert renamed["actor"] == {"type": "staff", "id": "ada", "name": "Ada L."}
    assert renamed["source"] == {"type": "admin", "id": "r1"}
    assert answer.json()[2]["after"]["siteCode"] == "main"
    assert answer.json()[2]["after"]["metadata.createdAt"] == "2026-03-04T09:30:15.250Z"


def test_what_was_redeemed_a_moment_ago_is_shown_as_later(service_api, tenant):
    """Its change is copied when it settles; clients don't notice."""
    api = service_api(SEGMENT_READ, COUPON_READ)
    RedemptionFactory(coupon=CouponFactory(tenant=tenant), order_code="A-1")
    answer = api.get(CHANGES, objectType="redemption")
    assert answer.json()[0]["after"]["orderCode"] == "A-1"
    settle_all()
    assert api.get(CHANGES, objectType="redemption").json() == answer.json()


def test_a_member_has_a_history_of_their_own(reader, tenant, gold):
    one, two = (CustomerFactory(tenant=tenant, external_id=f"C{n}") for n in (1, 2))
    entity = LegalEntityFactory(tenant=tenant, external_id="E1")
    ContactAssignmentFactory(legal_entity=entity, customer=one)
    for customer in (one, two):
        CustomerAssignmentFactory(segment=gold, customer=customer)
    CustomerAssignmentFactory(segment=gold, customer=one, legal_entity=entity)
    CustomerAssignment.objects.filter(segment=gold, customer=one, legal_entity=None).delete()
    path = f"{SEGMENTS}/gold/history"
    assert shown(reader.get(path, customerId="C1"), "kind") == [("deleted",), ("created",), ("created",)]
    assert shown(reader.get(path, customerId="C2"), "kind") == [("created",)]
    assert shown(reader.get(path, customerId="C1", legalEntityId="E1"), "kind") == [("created",)]
    assert reader.get(path, customerId="nobody").json() == []
    assert reader.get(path, legalEntityId="E1").status_code == 400


def test_what_is_gone_keeps_its_history_and_ids(reader, tenant, gold):
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    CustomerAssignmentFactory(segment=gold, customer=customer)
    Segment.objects.filter(pk=gold.pk)._raw_delete("default")
    Customer.objects.filter(pk=customer.pk)._raw_delete("default")
    answer = reader.get(f"{SEGMENTS}/gold/history", customerId="C1")
    assert shown(answer, "kind", "object", "members", "cascade") == [
        ("deleted", {"type": "segment-customer", "id": "gold"}, ["C1"], True),
        ("created", {"type": "segment-customer", "id": "gold"}, ["C1"], False),
    ]
    assert answer.json()[0]["before"][0]["count"] == 1
    assert reader.get(f"{SEGMENTS}/silver/history").status_code == 404


def test_pages_go_back_in_time(reader, gold):
    for version in range(2, 8):
        Segment.objects.filter(pk=gold.pk).update(version=version)
    seen, cursor = [], {}
    for _ in range(4):
        page = reader.get(f"{SEGMENTS}/gold/history", pageSize=2, **cursor)
        seen += [row["id"] for row in page.json()]
        cursor = {"next": page.headers.get("X-Next-Cursor")}
    keys = Change.objects.filter(object="segment").order_by("-id").values_list("id", flat=True)
    assert (seen, cursor) == (list(keys), {"next": None})


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"objectType": "segment-customer"},
        {"objectId": "gold"},
        {"from": "2000-01-01T00:00:00Z"},
        {"sort": "kind:asc"},
    ],
)
def test_pages_of_changes_hold_each_once_forwards_and_backwards(reader, tenant, gold, query):
    for version in range(2, 6):
        Segment.objects.filter(pk=gold.pk).update(version=version)
        customers = CustomerFactory.create_batch(2, tenant=tenant)
        CustomerAssignment.objects.bulk_create(
            CustomerAssignment(tenant=tenant, segment=gold, customer=customer) for customer in customers
        )
    whole = [row["id"] for row in reader.get(CHANGES, **query).json()]
    assert len(whole) >= 4
    seen, cursors = [], [{}]
    while True:
        page = reader.get(CHANGES, pageSize=2, **query, **cursors[-1])
        seen.append([row["id"] for row in page.json()])
        if "X-Next-Cursor" not in page.headers:
            break
        cursors.append({"next": page.headers["X-Next-Cursor"]})
    assert [key for keys in seen for key in keys] == whole
    for expected in reversed(seen[:-1]):
        page = reader.get(CHANGES, pageSize=2, **query, prev=page.headers["X-Prev-Cursor"])
        assert [row["id"] for row in page.json()] == expected
    if not query:
        at = Change.objects.filter(object__startswith="segment").order_by("-at", "-id")
        assert whole == list(at.values_list("id", flat=True))


@pytest.mark.parametrize(
    "path", [f"{SEGMENTS}/gold/history", CHANGES, f"{SEGMENTS}/gold/history?customerId=C1"]
)
def test_a_page_takes_one_statement(reader, tenant, gold, path, django_assert_num_queries):
    CustomerAssignmentFactory(segment=gold, customer=CustomerFactory(tenant=tenant, external_id="C1"))
    with django_assert_num_queries(1):
        assert len(reader.get(path).json()) >= 1


@pytest.mark.parametrize(
    "query",
    [
        {"actorId": "ada"},
        {"actorType": "staff"},
        {"sourceType": "admin", "sourceId": "r1"},
        {"objectType": "segment", "kind": "updated"},
        {"objectId": "gold", "kind": "updated"},
        {"q": "actor.id:ada"},
        {"q": "kind:updated object.type:segment"},
    ],
)
def test_changes_are_narrowed(reader, gold, query):
    SegmentFactory(site=gold.site)
    with acting_as(ADA):
        Segment.objects.filter(pk=gold.pk).update(version=2)
    assert shown(reader.get(CHANGES, **query), "kind") == [("updated",)]


def test_changes_are_narrowed_by_time(reader, gold):
    at = reader.get(CHANGES).json()[0]["at"]
    assert reader.get(CHANGES, **{"from": "2100-01-01T00:00:00Z"}).json() == []
    assert reader.get(CHANGES, to="2000-01-01T00:00:00Z").json() == []
    assert len(reader.get(CHANGES, **{"from": at}).json()) >= 1
    assert reader.get(CHANGES, **{"from": "yesterday"}).status_code == 400


def test_changes_of_others_need_the_scope_that_reads_them(service_api, tenant, gold):
    CouponFactory(tenant=tenant)
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    Customer.objects.filter(pk=customer.pk).update(password=make_password("Correct-horse-9"))

    def types(*scopes):
        return {row["object"]["type"] for row in service_api(*scopes).get(CHANGES).json()}

    assert types(SEGMENT_READ) == {"segment"}
    assert types(SEGMENT_READ, COUPON_READ) == {"segment", "coupon"}
    assert types(SEGMENT_MANAGE, CUSTOMER_READ) == {"segment", "customer"}
    [change] = service_api(SEGMENT_READ, CUSTOMER_READ).get(CHANGES, objectId="C1", kind="updated").json()
    assert (change.get("before"), change.get("after"), change["secrets"]) == (None, None, ["password"])


@pytest.fixture
def ruled(tenant, gold, clock):
    """Two segments with rules that were changed, and somebody excluded from each."""
    for segment in (SegmentFactory(site=gold.site, external_id="silver"), gold):
        CustomerFactory(tenant=tenant)
        rule = make_rule(tenant, "onHold:false", at=clock.at, segment_id=segment.external_id)
        Rule.objects.filter(pk=rule.pk).update(q="onHold:true", version=2)
        RuleExclusion.objects.create(tenant=tenant, segment=segment, customer=CustomerFactory(tenant=tenant))
    return gold


def test_a_segment_tells_the_changes_of_its_rule(service_api, ruled):
    reader = service_api(SEGMENT_READ, SEGMENT_MANAGE, CUSTOMER_READ)
    whole = reader.get(f"{SEGMENTS}/gold/history").json()
    excluded, changed = whole[:2]
    assert excluded["object"] == {"type": "segment-rule-exclusion", "id": "gold"}
    assert changed["object"] == {"type": "segment-rule", "id": "gold"}
    assert changed["before"] == {"q": "onHold:false", "metadata.version": 1}
    assert changed["after"] == {"q": "onHold:true", "metadata.version": 2}
    assert {row["object"]["id"] for row in whole} == {"gold"}
    assert {row["object"]["type"] for row in whole} == {"segment", "segment-customer", *OF_RULES}


def test_pages_of_a_history_with_a_rule_hold_each_change_once(service_api, ruled):
    reader, path = service_api(SEGMENT_READ, SEGMENT_MANAGE, CUSTOMER_READ), f"{SEGMENTS}/gold/history"
    counted = reader.get(path, headers={"X-Total-Count": "true"})
    whole = [row["id"] for row in counted.json()]
    assert (len(whole) > 4, whole) == (True, sorted(whole, reverse=True))
    assert counted.headers["X-Total-Count"] == str(len(whole))
    seen, cursor = [], {}
    while cursor is not None:
        page = reader.get(path, pageSize=2, **cursor)
        seen += [row["id"] for row in page.json()]
        following = page.headers.get("X-Next-Cursor")
        cursor = {"next": following} if following else None
    assert seen == whole
    kinds = [row["kind"] for row in reader.get(path, sort="kind:asc").json()]
    assert (len(kinds), kinds) == (len(whole), sorted(kinds))


@pytest.mark.parametrize("scope", [SEGMENT_MANAGE, CUSTOMER_READ])
def test_changes_of_rules_are_for_those_who_may_read_rules(service_api, ruled, scope):
    rows = service_api(SEGMENT_READ, scope).get(f"{SEGMENTS}/gold/history").json()
    assert {row["object"]["type"] for row in rows} == {"segment", "segment-customer"}


def test_history_needs_the_scope_for_all(service_api, gold):
    own = service_api(SEGMENT_READ_OWN)
    assert own.get(f"{SEGMENTS}/gold/history").status_code == 403
    assert own.get(CHANGES).status_code == 403
