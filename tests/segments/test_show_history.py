"""The history of a segment in words, on the command line."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from core.actors import Actor, ActorType, acting_as
from segments.models import CustomerAssignment, Rule, RuleExclusion, Segment
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.django_db
ADA = Actor(ActorType.STAFF, "ada", "Ada L.", "admin", "r1")


@pytest.fixture
def gold(tenant, site):
    with acting_as(ADA):
        gold = SegmentFactory(site=site, external_id="gold", name={"en": "Gold"})
        for number in ("C1", "C2"):
            CustomerAssignmentFactory(
                segment=gold, customer=CustomerFactory(tenant=tenant, external_id=number)
            )
        Segment.objects.filter(pk=gold.pk).update(name={"en": "Golden"})
        CustomerAssignment.objects.filter(segment=gold).delete()
    return gold


def shown(*arguments):
    output = StringIO()
    call_command("show_history", *arguments, "--tenant", "acme", stdout=output)
    return [line.partition("  ")[2] for line in output.getvalue().splitlines()]


def test_changes_are_told_in_words_newest_first(gold):
    assert shown("gold") == [
        "staff ada (Ada L.) removed 2 customers (C1, C2)  [admin r1]",
        "staff ada (Ada L.) changed the segment: name  [admin r1]",
        "staff ada (Ada L.) added 1 customer (C2)  [admin r1]",
        "staff ada (Ada L.) added 1 customer (C1)  [admin r1]",
        "staff ada (Ada L.) created the segment  [admin r1]",
    ]


def test_changes_of_the_rule_are_told_too(gold, clock):
    with acting_as(ADA):
        rule = Rule.objects.create(tenant=gold.tenant, segment=gold, q="onHold:true")
        Rule.objects.filter(pk=rule.pk).update(q="onHold:false", version=2)
        RuleExclusion.objects.create(
            tenant=gold.tenant, segment=gold, customer=CustomerFactory(tenant=gold.tenant)
        )
    assert [line.partition("L.) ")[2] for line in shown("gold")[:3]] == [
        "created the exclusion of a customer  [admin r1]",
        "changed the rule: metadata.version, q  [admin r1]",
        "created the rule  [admin r1]",
    ]


def test_one_member_has_their_own(gold):
    assert [line.split(" ", 3)[3].split(" (")[0] for line in shown("gold", "--customer", "C1")] == [
        "L.) removed 2 customers",
        "L.) added 1 customer",
    ]


def test_what_is_cut_off_is_said(gold):
    output = StringIO()
    call_command("show_history", "gold", "--tenant", "acme", "--limit", "1", stdout=output)
    assert output.getvalue().splitlines()[1:] == ["There are more; raise --limit above 1 to see them."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["silver", "--tenant", "acme"], "The journal has no change in a segment silver."),
        (["gold", "--tenant", "acme", "--customer", "X"], "no change of the customer X in a segment gold"),
        (["gold", "--tenant", "other"], "There is no tenant other."),
        (["gold", "--tenant", "acme", "--limit", "0"], "from 1 to 10000"),
    ],
)
def test_what_is_not_there_is_an_error(gold, arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("show_history", *arguments)
