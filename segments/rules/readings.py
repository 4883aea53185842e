"""What /metrics tells of rules."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Max, Q, Sum

from core.observation.metrics import Reading, register_readings
from segments.models import Rule
from segments.rules.evaluation import SLOW


def read_rules(at: datetime) -> Iterator[Reading]:
    found = Rule.objects.order_by().aggregate(
        drift=Sum("drift", default=0),
        slow=Count("id", filter=Q(milliseconds__gt=SLOW)),
        slowest=Max("milliseconds", default=0),
    )
    yield Reading.single(
        "rule_drift_members", "Members by rule that only a nightly evaluation put right.", found["drift"]
    )
    yield Reading.single("rules_slow", "Rules whose last evaluation took too long.", found["slow"])
    yield Reading.single(
        "rule_slowest_seconds", "Time of the slowest last evaluation of a rule.", found["slowest"] / 1_000
    )
    states = dict.fromkeys(Rule.State.values, 0) | dict(
        Rule.objects.order_by().values_list("state").annotate(Count("id"))
    )
    yield Reading("rules", "Rules by state.", {(state,): n for state, n in states.items()}, ("state",))


register_readings("rules", read_rules)
