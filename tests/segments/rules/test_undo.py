"""Taking back what was done to rules: made, changed, turned off, and who was taken out by hand."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.identity.scopes import CUSTOMER_READ, SEGMENT_MANAGE, SEGMENT_READ
from accounts.models import Customer, Site
from core.journal.models import Change
from core.journal.undo import plans
from core.journal.undo.changes import Undone
from core.journal.undo.occasions import occasion_of_source, undo_occasion
from core.journal.undo.plans import plan_undo, undo_change
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Rule, RuleExclusion, Segment
from segments.rules import operations
from tests.conftest import Api, web_client
from tests.factories.accounts import CustomerFactory, UserFactory
from tests.factories.segments import SegmentFactory
from tests.segments.rules.settling import make_rule, settle

GOLD = "/customer-segment/acme/segments/gold"
CHANGES = "/customer-segment/acme/changes"
SCOPES = (SEGMENT_MANAGE, SEGMENT_READ, CUSTOMER_READ)

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(service_api: Callable[..., Api]) -> Any:
    return service_api(*SCOPES)


@pytest.fixture
def gold(site: Site, tenant: Tenant, now: datetime) -> Any:
    """A segment whose rule holds for C1 and C2, evaluated."""
    for number in ("C1", "C2", "C3"):
        CustomerFactory(tenant=tenant, external_id=number, is_on_hold=number == "C3")
    segment = SegmentFactory(site=site, external_id="gold")
    make_rule(tenant, "onHold:false", at=now, segment_id="gold")
    return segment


def last(name: str, kind: str) -> Change:
    return Change.objects.filter(object=name, kind=kind).order_by("-id")[0]


def undo(change: Change, at: datetime) -> Undone:
    undone = undo_change(plan_undo(change.pk, tenant_id=change.tenant_id, at=at), at=at)
    settle(at)
    return undone


def members() -> dict[str, str]:
    rows = CustomerAssignment.objects.filter(segment__external_id="gold")
    return dict(rows.values_list("customer__external_id", "assignment_type"))


def reasons(undone: Undone) -> list[str]:
    return [entry["reason"] for entry in undone.left_alone]


BY_RULE = {"C1": "AUTOMATIC", "C2": "AUTOMATIC"}


def test_a_rule_that_was_made_goes_with_its_members(api: Api, gold: Segment, now: datetime) -> None:
    api.put(f"{GOLD}/customers/C3", {})
    made = last("segment-rule", "created")

    undone = undo(made, now)

    assert undone.taken_back == {("segment-rule", "created"): 1}
    assert not Rule.objects.exists()
    assert members() == {"C3": "MANUAL"}
    assert not RuleExclusion.objects.exists()
    undo(last("segment-rule", "deleted"), now)
    assert (Rule.objects.get().q, members()) == ("onHold:false", {**BY_RULE, "C3": "MANUAL"})


def test_a_changed_rule_says_again_what_it_said(api: Api, gold: Segment, now: datetime) -> None:
    made = last("segment-rule", "created")
    api.put(f"{GOLD}/rule", {"q": "onHold:true"})
    changed = Change.objects.filter(object="segment-rule", after__q="onHold:true").get()
    settle(now)
    assert members() == {"C3": "AUTOMATIC"}
    assert reasons(undo(made, now)) == ["it was changed since"]

    undo(changed, now)

    rule = Rule.objects.get()
    assert (rule.q, rule.version, rule.watched, rule.state) == (
        "onHold:false",
        3,
        ["customer.is_on_hold"],
        "READY",
    )
    assert members() == BY_RULE
    assert reasons(undo(changed, now)) == ["it was changed since"]


@pytest.mark.parametrize("mode", ["LIVE", "SNAPSHOT"])
@pytest.mark.parametrize("kept", ["true", "false"])
def test_a_rule_that_was_turned_off_has_its_members_again(
    api: Api, gold: Segment, now: datetime, kept: str, mode: str, tenant: Tenant
) -> None:
    make_rule(tenant, "onHold:false", at=now, segment_id="gold", mode=mode)
    api.put(f"{GOLD}/customers/C3", {})
    api.delete(f"{GOLD}/customers/C2")
    api.delete(f"{GOLD}/rule?keepMembers={kept}")
    assert members() == ({"C1": "MANUAL"} if kept == "true" else {}) | {"C3": "MANUAL"}

    undone = undo(last("segment-rule", "deleted"), now)

    assert reasons(undone) == []
    assert members() == {"C1": "AUTOMATIC", "C3": "MANUAL"}
    rule = Rule.objects.get()
    assert (rule.q, rule.mode, rule.state) == ("onHold:false", mode, "READY")
    assert RuleExclusion.objects.get().customer.external_id == "C2"


def test_members_that_were_kept_in_the_background_are_by_the_rule_again(
    api: Api, gold: Segment, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "BATCH", 1)
    monkeypatch.setattr(plans, "LARGEST_AT_ONCE", 1)
    api.delete(f"{GOLD}/rule?keepMembers=true")
    settle(now)
    assert set(members().values()) == {"MANUAL"}

    undone = undo(last("segment-rule", "deleted"), now)

    assert undone.taken_back == {("segment-rule", "deleted"): 1, ("segment-customer", "updated"): 2}
    assert members() == BY_RULE


def test_a_page_that_turned_a_rule_off_is_taken_back_as_one_occasion(
    api: Api, gold: Segment, now: datetime
) -> None:
    api.delete(f"{GOLD}/rule?keepMembers=true", headers={"X-Request-Id": "r-1"})

    undone = undo_occasion(occasion_of_source("request", "r-1", tenant_id=gold.tenant_id), at=now)

    assert isinstance(undone, Undone)
    assert undone.left_alone == []
    settle(now)
    assert (members(), Rule.objects.count()) == (BY_RULE, 1)


def test_an_evaluation_is_nothing_to_take_back(api: Api, gold: Segment, now: datetime) -> None:
    evaluated = last("segment-rule", "updated")
    assert evaluated.after["evaluated_at"]

    undone = undo(evaluated, now)

    assert (undone.total, reasons(undone)) == (
        0,
        ["it says what the service did, which follows from other changes"],
    )


def test_a_restored_segment_has_its_rule_and_exclusions(api: Api, gold: Segment, now: datetime) -> None:
    api.delete(f"{GOLD}/customers/C2")
    api.delete(f"{GOLD}?forceDelete=true")
    assert not Rule.objects.exists()

    assert reasons(undo(last("segment", "deleted"), now)) == []

    assert Segment.objects.get(external_id="gold").pk == gold.pk
    assert (Rule.objects.get().q, members()) == ("onHold:false", {"C1": "AUTOMATIC"})
    assert RuleExclusion.objects.get().customer.external_id == "C2"


def test_an_exclusion_is_lifted_and_made_again(api: Api, gold: Segment, now: datetime) -> None:
    api.delete(f"{GOLD}/customers/C2")
    undo(last("segment-rule-exclusion", "created"), now)
    assert members() == BY_RULE
    undo(last("segment-rule-exclusion", "deleted"), now)
    assert members() == {"C1": "AUTOMATIC"}


def test_who_was_added_by_hand_since_is_not_excluded(api: Api, gold: Segment, now: datetime) -> None:
    api.delete(f"{GOLD}/customers/C2")
    api.put(f"{GOLD}/customers/C2", {})
    undone = undo(last("segment-rule-exclusion", "deleted"), now)
    assert reasons(undone) == ["the customer is a member by hand"]
    assert members()["C2"] == "MANUAL"


def test_a_rule_that_would_close_a_circle_is_left_alone(
    api: Api, gold: Segment, site: Site, tenant: Tenant, now: datetime
) -> None:
    SegmentFactory(site=site, external_id="silver")
    api.put(f"{GOLD}/rule", {"q": "segments:silver"})
    api.put(f"{GOLD}/rule", {"q": "onHold:true"})
    renamed = Change.objects.get(object="segment-rule", after__q="onHold:true")
    make_rule(tenant, "segments:gold", at=now, segment_id="silver")
    [reason] = reasons(undo(renamed, now))
    assert "in a circle" in reason
    assert Rule.objects.get(segment=gold).q == "onHold:true"


def test_the_api_shows_and_takes_back_changes_of_rules(
    api: Api, service_api: Callable[..., Api], gold: Segment, now: datetime
) -> None:
    api.delete(f"{GOLD}/customers/C2")
    [row] = api.get(CHANGES, objectType="segment-rule-exclusion").json()
    assert (row["object"]["id"], row["after"]["customerId"]) == ("gold", "C2")
    [made] = api.get(CHANGES, objectType="segment-rule", kind="created").json()
    assert (made["after"]["q"], made["undoable"]) == ("onHold:false", True)
    no_reader = service_api(SEGMENT_MANAGE, SEGMENT_READ)
    assert no_reader.get(CHANGES, objectType="segment-rule").json() == []
    assert no_reader.post(f"{CHANGES}/{made['id']}/undo").status_code == 403
    answer = api.post(f"{CHANGES}/{made['id']}/undo")
    assert (answer.status_code, answer.json()["takenBackCount"]) == (200, 1)
    assert not Rule.objects.exists()


def test_a_rule_can_be_taken_back_after_a_customer_of_it_is_gone(
    api: Api, gold: Segment, now: datetime
) -> None:
    api.delete(f"{GOLD}/customers/C2")
    Customer.objects.filter(external_id="C2").delete()
    undone = undo(last("segment-rule-exclusion", "created"), now)
    assert reasons(undone) == ["it was deleted since"]


def staff_without(tenant: Tenant, *left_out: str, language: str = "en") -> Client:
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.exclude(codename__in=left_out))
    browser = web_client()
    browser.force_login(user)
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = language
    return browser


def test_activity_says_what_was_done_to_rules_and_takes_it_back(
    api: Api, gold: Segment, tenant: Tenant, now: datetime
) -> None:
    Customer.objects.filter(external_id="C2").update(first_name="Zoe", last_name="Ray")
    api.delete(f"{GOLD}/customers/C2")
    api.put(f"{GOLD}/rule", {"q": "onHold:true"})
    changed = Change.objects.get(object="segment-rule", after__q="onHold:true")
    browser = staff_without(tenant)
    for page in (
        reverse("admin:journal_change_changelist"),
        reverse("admin:segments_segment_history", args=[gold.pk]),
    ):
        text = browser.get(page).content.decode().replace("-&gt;", "->")
        assert "created the rule (onHold:false)" in text
        assert "rule onHold:false -> onHold:true" in text
        assert "created the exclusion from the rule (Zoe Ray" in text
    german = staff_without(tenant, language="de").get(reverse("admin:journal_change_changelist"))
    assert "Ausschluss von der Regel" in german.content.decode()

    browser.post(reverse("admin:journal_change_undo", args=[changed.pk]))

    assert Rule.objects.get().q == "onHold:false"


@pytest.mark.parametrize("permission", ["change_segment", "view_customer"])
def test_activity_shows_rules_to_those_who_see_the_page_who_belongs(
    gold: Segment, tenant: Tenant, permission: str
) -> None:
    browser = staff_without(tenant, permission)
    assert "onHold:false" not in browser.get(reverse("admin:journal_change_changelist")).content.decode()
    made = last("segment-rule", "created")
    assert browser.post(reverse("admin:journal_change_undo", args=[made.pk])).status_code == 404
