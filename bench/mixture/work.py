"""Imports memberships, or evaluates a rule, again and again."""

import tempfile
import time
from collections.abc import Callable
from itertools import cycle

from django.core.management import call_command
from django.utils import timezone

from accounts.models import Customer
from bench.dataset.people import SHOP, TENANTS
from bench.dataset.segments import FIRST_EMPTY_SEGMENT
from core.background.models import OPEN_STATES, Job
from segments.models import Rule
from segments.rules.operations import save_rule

ROWS_EACH = 10_000  # of a segment
IMPORTED_SEGMENTS = 20
PAUSE = 0.1  # seconds
RULES = ("bucket:<14", "bucket:>=86")  # each exchanges all members of the other


def go_on(kind: str, *, begin: Callable[[], None]) -> None:
    """Do such work until the process is ended; `begin` is called when the first of it begins."""
    {"import": import_for_ever, "rules": evaluate_for_ever}[kind](begin)


def import_for_ever(begin: Callable[[], None]) -> None:
    customers = Customer.objects.filter(tenant_id=SHOP).order_by("pk").values_list("external_id", flat=True)
    with tempfile.NamedTemporaryFile("w", suffix=".csv", prefix="members-") as file:
        file.write("segmentId,customerId\n")
        for segment in range(FIRST_EMPTY_SEGMENT + 1, FIRST_EMPTY_SEGMENT + IMPORTED_SEGMENTS):
            file.writelines(f"s{segment},{customer}\n" for customer in customers[:ROWS_EACH])
        file.flush()
        begin()
        while True:
            for options in ({}, {"mode": "delete", "max_removed": "100%"}):
                call_command(
                    "upsert_segment_customers", file.name, tenant=TENANTS[SHOP], quiet=True, **options
                )


def evaluate_for_ever(begin: Callable[[], None]) -> None:
    """Exchange all members of a segment by a change of its rule: the server's worker evaluates it."""
    for q in cycle(RULES):
        save_rule(
            tenant_id=SHOP,
            segment_id=f"s{FIRST_EMPTY_SEGMENT}",
            q=q,
            mode="LIVE",
            membership="CUSTOMER",
            at=timezone.now(),
        )
        begin()
        wait_for_evaluations()


def wait_for_evaluations() -> None:
    while Job.objects.filter(state__in=OPEN_STATES).exists():
        time.sleep(PAUSE)


def end_rules() -> None:
    """Delete the rule, so that nothing is evaluated any more."""
    Rule.objects.filter(tenant_id=SHOP).delete()
    wait_for_evaluations()
