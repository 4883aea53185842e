"""What is deleted and merged of coupons in the background. Nothing waits for it: an end is an instant."""

from datetime import datetime, timedelta

from core.background.retention import Retention, delete_some, register_retention
from core.background.tasks import Task, register_task
from core.journal.settling import before_settling
from coupons.models import JudgementCount, ReportCount, Reservation
from coupons.report_counts import count_settling, merge_counts


def delete_reservations(before: datetime, most: int) -> int:
    return delete_some(Reservation.objects.filter(expires_at__lt=before).order_by("expires_at"), most)


def delete_judgements(before: datetime, most: int) -> int:
    old = JudgementCount.objects.filter(day__lt=before.date()).order_by("day")
    counted = ReportCount.objects.filter(day__lt=before.date()).exclude(kind__in=ReportCount.Kind.values)
    return delete_some(old, most) or delete_some(counted.order_by("id"), most)


register_retention(
    Retention("judgements", "counts of validations", timedelta(days=2 * 366), delete_judgements),
    Retention(
        "reservations", "reservations of coupons that are over", timedelta(days=30), delete_reservations
    ),
)
before_settling(count_settling)
register_task(Task("merge report counts", run=merge_counts, interval=timedelta(minutes=1)))
