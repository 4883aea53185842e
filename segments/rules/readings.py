"""What /metrics and readiness tell of rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q, Sum

from core.observation.metrics import Reading, register_readings
from segments.models import Rule
from segments.rules.evaluation import SLOW, is_evaluated
from segments.rules.judging import due_since


@dataclass(frozen=True, slots=True)
class RuleLag:
    """How far rules lag behind the changes of customers, how many are in which state, and their drift."""

    seconds: float
    states: dict[str, int]
    drift: int


def rule_lag(at: datetime) -> RuleLag:
    """Return the lag at `at`: two look-ups. Rules of segments that do not count wait for nothing."""
    since = due_since()
    states = dict.fromkeys(Rule.State.values, 0)
    drift = 0
    waiting = Rule.objects.order_by().exclude(~is_evaluated(at), state=Rule.State.PENDING)
    found = waiting.values_list("state").annotate(Count("id"), Sum("drift"))
    for state, count, drifted in found:
        states[state] = count
        drift += drifted
    return RuleLag(max((at - since).total_seconds(), 0.0) if since else 0.0, states, drift)


def read_rules(at: datetime) -> Iterator[Reading]:
    lag = rule_lag(at)
    costs = Rule.objects.order_by().aggregate(
        slow=Count("id", filter=Q(milliseconds__gt=SLOW)), slowest=Max("milliseconds", default=0)
    )
    yield Reading.single(
        "rule_lag_seconds", "How long the changed customer has waited who waits longest.", lag.seconds
    )
    yield Reading.single(
        "rule_drift_members",
        "Members by rule that only a nightly evaluation put right; must stay 0.",
        lag.drift,
    )
    yield Reading.single("rules_slow", "Rules whose last evaluation took too long.", costs["slow"])
    yield Reading.single(
        "rule_slowest_seconds", "Time of the slowest last evaluation of a rule.", costs["slowest"] / 1_000
    )
    yield Reading(
        "rules", "Rules by state.", {(state,): count for state, count in lag.states.items()}, ("state",)
    )


register_readings("rules", read_rules)
