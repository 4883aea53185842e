"""What is done for rules in the background (segments/rules/), and what is deleted when over."""

from datetime import datetime, timedelta

from core.background.retention import Retention, delete_some, register_retention
from core.background.tasks import Task, register_task
from segments.models import SegmentSet
from segments.partitioning import analyze_memberships
from segments.rules import evaluation, judging

JUDGE = Task(
    "judge due customers",
    judging.judge_due_customers,
    due_since=judging.due_since,
    is_prompt=True,
)
TIME = Task(
    "judge the passing of time",
    judging.judge_passing_of_time,
    due_since=judging.time_due_since,
    is_prompt=True,
)
REQUEST = Task(
    "request evaluations", evaluation.request_due_evaluations, due_since=evaluation.evaluations_due_since
)
AUDIT = Task("audit rules", evaluation.request_audits, interval=timedelta(minutes=10))
for task in (JUDGE, TIME, REQUEST, AUDIT):
    register_task(task)


def analyze(at: datetime) -> bool:
    analyze_memberships()
    return False


register_task(Task("analyze partitioned memberships", analyze, interval=timedelta(days=1)))
NAMES = frozenset({JUDGE.name, TIME.name, REQUEST.name, evaluation.KIND})
"""The tasks and jobs that make members right."""


def delete_segment_sets(before: datetime, most: int) -> int:
    return delete_some(SegmentSet.objects.filter(expires_at__lt=before).order_by("expires_at"), most)


register_retention(
    Retention("segment-sets", "keys of sets of segments", timedelta(hours=1), delete_segment_sets)
)
