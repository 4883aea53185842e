import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.background.models import OPEN_STATES, Job
from core.background.worker import BackgroundWorker
from core.tenancy.commands import tenant_named
from segments.background_tasks import NAMES
from segments.models import Rule
from segments.rules.evaluation import request_evaluation, rules_with_scope

PAUSE = 0.5  # seconds between two looks


class Command(BaseCommand):
    help = (
        "Evaluate the rules of segments anew and show what came of it. A background worker does the work;"
        " with --once this command does it itself, and whatever else is due for rules, and ends."
        " Example: evaluate_segments --tenant acme --segment gold --once"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument("--segment", metavar="ID", help="only the rule of this segment")
        parser.add_argument(
            "--once", action="store_true", help="do the work here, without a background worker"
        )

    def handle(self, *, tenant: str, segment: str | None, once: bool, **options: object) -> None:
        rules = rules_with_scope().filter(tenant=tenant_named(tenant))
        if segment is not None:
            rules = rules.filter(segment__external_id=segment)
            if not rules.exists():
                raise CommandError(f"There is no segment {segment} with a rule in {tenant}.")
        else:
            rules = rules.filter(mode=Rule.Mode.LIVE)  # a snapshot is evaluated by name only
        jobs = [
            request_evaluation(rule, requested_by="evaluate_segments", at=timezone.now()).pk
            for rule in rules.order_by("id")
        ]
        if once:
            summary = BackgroundWorker(only=NAMES).run_until_idle()
            if summary.failures:
                raise CommandError(f"{summary.failures} failed; they are due again later. The log says why.")
        else:
            self.wait(jobs)
        failed = 0
        for rule in rules.order_by("segment__external_id"):
            failed += rule.state == Rule.State.FAILED
            self.stdout.write(in_words(rule))
        if failed:
            raise CommandError(f"{failed} of the rules failed.")

    def wait(self, jobs: list[int]) -> None:
        """Wait until the evaluations are over, or replaced by later ones."""
        before = None
        while left := Job.objects.filter(pk__in=jobs, state__in=OPEN_STATES).count():
            if left != before:
                self.stderr.write(f"{left} of {len(jobs)} evaluations to be done by the background worker")
            before = left
            time.sleep(PAUSE)


def in_words(rule: Rule) -> str:
    """Return one line about a rule."""
    text = f"{rule.segment.external_id}: {rule.state}"
    if rule.state == Rule.State.FAILED:
        return f"{text}: {rule.message}"
    if rule.evaluated_at is None:
        return f"{text}, not evaluated: is the segment inactive or over?"
    numbers = f"{rule.members:,} members by rule, {rule.added:,} added, {rule.removed:,} removed"
    return f"{text}, {numbers} in {rule.milliseconds:,} ms"
