"""The journal makes no writer wait for another one."""

import threading
from contextlib import ExitStack

import pytest
from django.db import connection, transaction

from core.journal.models import Change
from segments.models import CustomerAssignment
from segments.tallies import Held, held_by
from tests.concurrency.threads import at_once
from tests.factories.accounts import CustomerFactory, SiteFactory, TenantFactory
from tests.factories.segments import SegmentFactory
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 8


def test_writers_of_one_segment_wait_for_nobody_beside_an_import():
    """All hold their rows uncommitted at once: with a wait for one another none would get so far."""
    site = SiteFactory(tenant=TenantFactory(name="racing"), code="main")
    gold = SegmentFactory(site=site)
    customers = CustomerFactory.create_batch(WRITERS + 200, tenant=site.tenant)
    places = iter([customers[WRITERS:], *[[customer] for customer in customers[:WRITERS]]])
    everybody_wrote = threading.Barrier(WRITERS + 1)

    def write():
        members = next(places)
        with ExitStack() as stack:
            stack.enter_context(transaction.atomic())
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '60s'")  # less than the others are waited for
            CustomerAssignment.objects.bulk_create(
                CustomerAssignment(tenant=site.tenant, segment=gold, customer=member) for member in members
            )
            everybody_wrote.wait(timeout=PATIENCE)
        return len(members)

    assert sorted(at_once(WRITERS + 1, write)) == [*[1] * WRITERS, 200]
    counts = Change.objects.filter(object="segment-customer").values_list("count", flat=True)
    assert sorted(counts) == [*[1] * WRITERS, 200]
    assert held_by(site.tenant_id, [gold.pk]) == {gold.pk: Held(members=WRITERS + 200)}
