"""What is done for rules in the background: see segments/rules/evaluation.py."""

from datetime import timedelta

from core.background.tasks import Task, register_task
from segments.rules import evaluation

register_task(Task("judge due customers", evaluation.judge_due_customers, due_since=evaluation.due_since))
register_task(
    Task("judge the passing of time", evaluation.judge_passing_of_time, due_since=evaluation.time_due_since)
)
register_task(
    Task(
        "request evaluations",
        evaluation.request_due_evaluations,
        due_since=evaluation.evaluations_due_since,
    )
)
register_task(Task("audit rules", evaluation.request_audits, interval=timedelta(minutes=10)))
