"""Doing what background workers would do for rules, until nothing is left to do."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import Site
from core.background.models import Job
from core.background.worker import run_slice
from core.journal.settling import settle_all
from segments.models import Rule, Segment
from segments.rules import evaluation, judging, operations
from segments.rules.operations import save_rule
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.segments import SegmentFactory

MOST_SLICES = 200


def segment_with_customers(site: Site) -> Segment:
    """Make the segment "gold", and four customers: c0 is on hold, c0 and c2 are of the tier gold."""
    for number in range(4):
        CustomerFactory(
            tenant=site.tenant,
            external_id=f"c{number}",
            first_name=f"Anna{number}",
            is_on_hold=number == 0,
            mixins={"loyalty": {"tier": ["gold", "silver"][number % 2]}},
        )
    return SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "Goldkunden"})


def settle(at: datetime) -> None:
    """Do everything that is due at `at`."""
    for _ in range(MOST_SLICES):
        if not settle_once(at):
            return
    raise AssertionError("There is no end to what is due.")


def settle_once(at: datetime) -> bool:
    Rule.objects.filter(due_at__gt=at + timedelta(days=1)).update(due_at=at)  # by PostgreSQL's own clock
    settle_all()
    evaluation.request_due_evaluations(at)
    judging.judge_passing_of_time(at)
    if judging.due_since() is not None:
        judging.judge_due_customers(at)
        return True
    job = open_jobs().order_by("id").first()
    if job is not None:
        with transaction.atomic():
            run_slice(job, at)
    return job is not None


def open_jobs():
    return Job.objects.filter(
        kind__in=[evaluation.KIND, operations.END_KIND], state__in=evaluation.OPEN_STATES
    )


def make_rule(tenant, q, *, at, segment_id="ruled", mode="LIVE", membership="CUSTOMER") -> Rule:
    """Return the rule of a segment, which is made if there is none, evaluated."""
    if not Segment.objects.filter(tenant=tenant, external_id=segment_id).exists():
        site = Site.objects.filter(tenant=tenant).first() or SiteFactory(tenant=tenant)
        SegmentFactory(site=site, external_id=segment_id)
    save_rule(tenant_id=tenant.pk, segment_id=segment_id, q=q, mode=mode, membership=membership, at=at)
    settle(at)
    return Rule.objects.select_related("segment").get(tenant=tenant, segment__external_id=segment_id)
