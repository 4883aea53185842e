"""Evaluations beside changes by hand, beside changes of customers, and beside workers that are killed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Customer, Site
from core.background.models import TaskState
from core.background.worker import run_slice
from core.tenancy.models import Tenant
from segments.bodies import CustomerAssignmentBody, Member
from segments.models import CustomerAssignment, Rule, RuleDelta, RuleExclusion
from segments.operations.customers import delete_customer_assignment, upsert_customer_assignment
from segments.rules import evaluation, judging
from segments.rules.operations import save_rule, turn_off_rule
from tests.concurrency.threads import in_thread
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import SegmentFactory
from tests.faults.servers import PROJECT, database_url
from tests.segments.rules.settling import make_rule, open_jobs, settle
from tests.waiting import PATIENCE, wait_for_a_lock, wait_until

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 3)


def kinds() -> dict[str, str]:
    return dict(CustomerAssignment.objects.values_list("customer__external_id", "assignment_type"))


def slice_of_evaluation() -> bool:
    job = open_jobs().order_by("id").first()
    if job is not None:
        with transaction.atomic():
            run_slice(job, AT)
    return job is not None


def compute(tenant: Tenant, q: str) -> None:
    """Save a rule, and evaluate it up to where the difference is stored and nothing of it applied."""
    save_rule(tenant_id=tenant.pk, segment_id="ruled", q=q, mode="LIVE", membership="CUSTOMER", at=AT)
    while not RuleDelta.objects.exists():
        slice_of_evaluation()


@pytest.fixture
def people(tenant: Tenant, site: Site) -> list[Customer]:
    SegmentFactory(site=site, external_id="ruled")
    return [CustomerFactory(tenant=tenant, external_id=f"C{number}") for number in range(8)]


def test_changes_by_hand_win_over_a_difference_that_is_older(tenant: Tenant, people: list[Customer]) -> None:
    compute(tenant, "onHold:false")
    write = {"tenant_id": tenant.pk, "segment_id": "ruled"}
    for name in ("C0", "C1"):
        upsert_customer_assignment(**write, row=CustomerAssignmentBody(customer_id=name), at=AT)
    delete_customer_assignment(**write, member=Member("C1"))

    settle(AT)

    assert kinds() == {"C0": "MANUAL", **{f"C{number}": "AUTOMATIC" for number in range(2, 8)}}
    assert RuleExclusion.objects.get().customer.external_id == "C1"


def test_a_member_made_manual_is_not_taken_out_by_an_older_difference(
    tenant: Tenant, people: list[Customer]
) -> None:
    make_rule(tenant, "onHold:false", at=AT)
    compute(tenant, "onHold:true")
    upsert_customer_assignment(
        tenant_id=tenant.pk, segment_id="ruled", row=CustomerAssignmentBody(customer_id="C5"), at=AT
    )

    settle(AT)

    assert kinds() == {"C5": "MANUAL"}


def test_customers_who_change_or_go_meanwhile_are_judged_after_it(
    tenant: Tenant, people: list[Customer]
) -> None:
    compute(tenant, "onHold:false")
    Customer.objects.filter(external_id="C2").update(is_on_hold=True)
    people[3].delete()
    CustomerFactory(tenant=tenant, external_id="C9")
    judging.judge_due_customers(AT)  # they wait for the evaluation

    settle(AT)

    assert sorted(kinds()) == ["C0", "C1", "C4", "C5", "C6", "C7", "C9"]
    assert Rule.objects.get().members == 7


def test_a_rule_saved_meanwhile_is_the_one_that_counts(tenant: Tenant, people: list[Customer]) -> None:
    compute(tenant, "onHold:false")
    slice_of_evaluation()
    Customer.objects.filter(external_id="C7").update(is_on_hold=True)
    save_rule(
        tenant_id=tenant.pk, segment_id="ruled", q="onHold:true", mode="LIVE", membership="CUSTOMER", at=AT
    )

    settle(AT)

    assert kinds() == {"C7": "AUTOMATIC"}
    assert not RuleDelta.objects.exists()


def test_turning_a_rule_off_waits_for_the_batch_that_is_written(
    tenant: Tenant, people: list[Customer]
) -> None:
    compute(tenant, "onHold:false")
    with transaction.atomic():
        job = open_jobs().get()
        run_slice(job, AT)
        turning_off = in_thread(
            lambda: turn_off_rule(tenant_id=tenant.pk, segment_id="ruled", keeps_members=False, at=AT)
        )
        wait_for_a_lock()
        assert not turning_off.done()
    turning_off.result(PATIENCE)

    settle(AT)

    assert kinds() == {}
    assert not RuleExclusion.objects.exists()


def test_saving_a_rule_or_a_customer_waits_for_no_evaluation(tenant: Tenant, people: list[Customer]) -> None:
    compute(tenant, "onHold:false")
    with transaction.atomic():
        run_slice(open_jobs().get(), AT)
        save = {"segment_id": "ruled", "q": "onHold:true", "mode": "LIVE", "membership": "CUSTOMER"}
        saving = in_thread(
            lambda: (
                save_rule(tenant_id=tenant.pk, at=AT, **save),
                Customer.objects.filter(external_id="C0").update(is_on_hold=True),
            )
        )
        saving.result(PATIENCE)
    settle(AT)
    assert kinds() == {"C0": "AUTOMATIC"}


WORKER = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from core.background.worker import BackgroundWorker
from segments.background_tasks import NAMES
from segments.rules import evaluation
evaluation.BATCH = 5
worker = BackgroundWorker(only=NAMES)
worker.pause = 0.01
worker.run()
"""


@pytest.fixture
def start(real_time: None) -> Iterator[Callable[[], subprocess.Popen]]:
    processes = []

    def start_worker() -> subprocess.Popen:
        environment = {**os.environ, "DATABASE_URL": database_url(), "DEBUG": "1"}
        processes.append(subprocess.Popen([sys.executable, "-c", WORKER], cwd=PROJECT, env=environment))
        return processes[-1]

    yield start_worker
    for process in processes:
        process.kill()
        process.wait()


def test_workers_killed_at_any_moment_lose_nothing(tenant: Tenant, site: Site, start: Any) -> None:
    SegmentFactory(site=site, external_id="ruled")
    for number in range(40):
        CustomerFactory(tenant=tenant, external_id=f"C{number:02}", is_on_hold=number % 2 == 0)
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)  # noqa: S311
    for attempt in range(3):
        on_hold = str(attempt % 2 == 0).lower()
        save_rule(
            tenant_id=tenant.pk,
            segment_id="ruled",
            q=f"onHold:{on_hold}",
            mode="LIVE",
            membership="CUSTOMER",
            at=datetime.now(UTC),
        )
        Customer.objects.filter(external_id=f"C{attempt:02}").update(is_on_hold=attempt % 2 != 0)
        victim = start()
        wait_until(lambda: TaskState.objects.exists())
        time.sleep(chance.random() * 1.5)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        # the delay before another attempt is not what this is about
        TaskState.objects.update(due_at=datetime.now(UTC))
        open_jobs().update(due_at=datetime.now(UTC), attempts=0)

    start()

    def is_done() -> bool:
        return not open_jobs().exists() and judging.due_since() is None

    wait_until(is_done)
    wanted = set(Customer.objects.filter(is_on_hold=True).values_list("external_id", flat=True))
    assert set(kinds()) == wanted, seed
    assert set(kinds().values()) == {"AUTOMATIC"}
    rule = Rule.objects.get()
    assert (rule.state, rule.members) == ("READY", len(wanted)), seed
    assert not RuleDelta.objects.exists()
