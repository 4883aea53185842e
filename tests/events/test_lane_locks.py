"""The feed and the sender lock lanes in one order: otherwise they could wait for each other."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from events.delivering import LeasedLane, Route, record
from events.models import Lane, Target
from tests.faults.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def waiting_for_locks():
    with connection.cursor() as cursor:
        # pg_stat_activity would say the same throughout a transaction
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
        return cursor.fetchone()[0]


def test_recording_locks_lanes_by_target_and_order_key(tenant):
    target = Target.objects.create(tenant=tenant, destination_url="https://example.com/")
    until = datetime.now(UTC) + timedelta(minutes=1)
    last, first = (
        Lane.objects.create(tenant=tenant, target=target, order_key=key, leased_until=until) for key in "ba"
    )
    route = Route("https://example.com/", (), {}, "", frozenset(), is_active=True)
    leased = [LeasedLane(lane.pk, tenant.pk, target.pk, 0, False, until, route, []) for lane in (last, first)]

    def run():
        try:
            with transaction.atomic():
                record(leased)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        Lane.objects.select_for_update().get(pk=first.pk)
        thread.start()
        wait_until(lambda: waiting_for_locks() == 1)
        assert Lane.objects.select_for_update(skip_locked=True).filter(pk=last.pk).exists()
    thread.join()
    assert not Lane.objects.filter(leased_until__isnull=False).exists()
