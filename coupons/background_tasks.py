"""What is deleted of coupons in the background. Nothing waits for it: an end is an instant."""

from datetime import datetime, timedelta

from core.background.retention import Retention, delete_some, register_retention
from coupons.models import JudgementCount, Reservation


def delete_reservations(before: datetime, most: int) -> int:
    return delete_some(Reservation.objects.filter(expires_at__lt=before).order_by("expires_at"), most)


def delete_judgements(before: datetime, most: int) -> int:
    return delete_some(JudgementCount.objects.filter(day__lt=before.date()).order_by("day"), most)


register_retention(
    Retention("judgements", "counts of validations", timedelta(days=2 * 366), delete_judgements),
    Retention(
        "reservations", "reservations of coupons that are over", timedelta(days=30), delete_reservations
    ),
)
