"""No rule is evaluated customer by customer: the number of statements depends on no number of rows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from core.background.worker import run_slice
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Rule
from segments.rules import evaluation, judging
from segments.rules.previews import PreviewBody, preview_rule
from tests.factories.accounts import CustomerFactory, TenantFactory
from tests.segments.rules.settling import make_rule, open_jobs, settle

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


def statements_of(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        work()
    return len(captured)


def evaluate() -> None:
    while job := open_jobs().order_by("id").first():
        with transaction.atomic():
            run_slice(job, AT)


@pytest.mark.parametrize("work", ["evaluate", "judge", "time", "preview"])
def test_statements_do_not_grow_with_customers(db: None, work: str) -> None:
    counts = []
    for number in (2, 40):
        tenant = TenantFactory()
        rule = make_rule(tenant, "onHold:false metadata.createdAt:>now-30d redemptions.90d.count:0", at=AT)
        CustomerFactory.create_batch(number, tenant=tenant, created_at=AT - 29 * DAY)
        if work == "evaluate":
            evaluation.request_evaluation(rule, requested_by="test", at=AT)
            counts.append(statements_of(evaluate))
        elif work == "judge":
            counts.append(statements_of(lambda: judging.judge_due_customers(AT)))
        else:
            settle(AT)
        if work == "preview":
            body = PreviewBody(q=rule.q, segment_id="ruled")
            counts.append(statements_of(partial(preview_rule, tenant=tenant, body=body, at=AT)))
        if work == "time":
            counts.append(statements_of(lambda: judging.judge_passing_of_time(AT + 2 * DAY)))
        if work in ("evaluate", "judge"):
            assert CustomerAssignment.objects.filter(tenant=tenant).count() == number
        settle(AT + 2 * DAY)
    assert counts[0] == counts[1]
    assert counts[0] <= {"evaluate": 50, "judge": 20, "time": 20, "preview": 60}[work]


def test_judging_by_many_rules_takes_the_same_statements(tenant: Tenant) -> None:
    counts = []
    for number in (1, 20):
        for index in range(number):
            make_rule(tenant, f"mixins.score:>{index}", at=AT, segment_id=f"s{index}")
        CustomerFactory(tenant=tenant, mixins={"score": 1_000})
        counts.append(statements_of(lambda: judging.judge_due_customers(AT)))
    assert counts[0] == counts[1]
    assert Rule.objects.filter(members__gte=1).count() == 20
