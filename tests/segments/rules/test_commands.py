"""The commands of rules, their findings, and what readiness says of them."""

import json
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from config.health import rules_state
from core.tenancy.models import Tenant
from segments.findings import look_for
from segments.models import CustomerAssignment, Rule, Segment
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import RuleFactory, SegmentFactory

pytestmark = pytest.mark.django_db


def output_of(*words: str, **options: object) -> list[str]:
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue().splitlines()


@pytest.fixture
def rule(tenant: Tenant, site: object) -> Rule:
    CustomerFactory(tenant=tenant, external_id="C1")
    CustomerFactory(tenant=tenant, external_id="C2", is_on_hold=True)
    return RuleFactory(segment=SegmentFactory(site=site, external_id="gold"))


def test_a_rule_is_evaluated_once(tenant: Tenant, rule: Rule, real_time: None) -> None:
    [line] = output_of("evaluate_segments", "--tenant", "acme", "--segment", "gold", "--once")

    assert line.startswith("gold: READY, 1 members by rule, 1 added, 0 removed in ")
    assert CustomerAssignment.objects.get().customer.external_id == "C1"
    with pytest.raises(CommandError, match="no segment silver with a rule"):
        output_of("evaluate_segments", "--tenant", "acme", "--segment", "silver", "--once")
    with pytest.raises(CommandError, match="There is no tenant nope"):
        output_of("evaluate_segments", "--tenant", "nope")


def test_a_rule_that_fails_ends_the_command_with_its_reason(rule: Rule, real_time: None) -> None:
    Rule.objects.update(q="nope:1")

    with pytest.raises(CommandError, match="1 of the rules failed"):
        output_of("evaluate_segments", "--tenant", "acme", "--once")


def test_a_rule_is_previewed(rule: Rule) -> None:
    lines = output_of("preview_rule", "onHold:false", "--tenant", "acme", "--segment", "gold")

    assert lines == [
        "1 would belong (50.0% of all)",
        "  1  onHold:false",
        "1 would join, 0 would leave",
        "  C1  John Doe",
    ]
    [text] = output_of("preview_rule", "onHold:false", "--tenant", "acme", "--json")
    assert json.loads(text)["count"] == 1
    with pytest.raises(CommandError, match="Fault at character 1: there is no fact nope"):
        output_of("preview_rule", "nope:1", "--tenant", "acme")
    with pytest.raises(CommandError, match="Give a rule and --tenant"):
        output_of("preview_rule", "nope:1")


def test_facts_are_listed() -> None:
    customers = output_of("preview_rule", "--facts")
    entities = output_of("preview_rule", "--facts", "--membership", "LEGAL_ENTITY")

    assert {"onHold", "mixins.*", "redemptions.90d.count", "legalEntities.type", "bucket"} <= {*customers}
    assert {"type", "legalInfo.*", "metadata.createdAt"} <= {*entities}
    assert "onHold" not in entities


def test_rules_that_failed_are_slow_or_drifted_are_found(tenant: Tenant, rule: Rule, now: object) -> None:
    names = ["rule_failed", "rule_slow", "rule_drifted"]
    assert [one.count.value for one in look_for(tenant_id=tenant.pk, at=now, names=names)] == [0, 0, 0]

    Rule.objects.update(state="FAILED", message="too slow", milliseconds=30_001, drift=2)

    found = look_for(tenant_id=tenant.pk, at=now, names=names)
    assert [(one.name, one.objects[0].id, one.objects[0].details) for one in found] == [
        ("rule_failed", "gold", {"message": "too slow"}),
        ("rule_slow", "gold", {"milliseconds": 30_001}),
        ("rule_drifted", "gold", {"drift": 2}),
    ]
    assert rules_state(now) == {"lagSeconds": 0, "failed": 1, "evaluating": 0, "drift": 2}


def test_rules_of_segments_that_do_not_count_wait_for_nothing(rule: Rule, now: datetime) -> None:
    Rule.objects.update(state="PENDING")
    assert rules_state(now)["evaluating"] == 1
    Segment.objects.update(status="INACTIVE")
    assert rules_state(now)["evaluating"] == 0
    Segment.objects.update(status="ACTIVE", valid_to=now - timedelta(days=1))
    assert rules_state(now)["evaluating"] == 0
