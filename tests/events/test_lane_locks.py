"""The feed and the sender lock lanes in one order: otherwise they could wait for each other."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from events.delivering import Batch, Route, record
from events.models import Lane, Target
from tests.waiting import wait_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)


def test_recording_locks_lanes_by_target_and_order_key(tenant):
    target = Target.objects.create(tenant=tenant, destination_url="https://example.com/")
    until = datetime.now(UTC) + timedelta(minutes=1)
    last, first = (
        Lane.objects.create(tenant=tenant, target=target, order_key=key, leased_until=until) for key in "ba"
    )
    route = Route("https://example.com/", (), {}, "", frozenset(), is_active=True)
    batch = Batch(tenant.pk, target.pk, 0, False, route, until, [last.pk, first.pk])

    def run():
        try:
            with transaction.atomic():
                record([batch])
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        Lane.objects.select_for_update().get(pk=first.pk)
        thread.start()
        wait_for_a_lock()
        assert Lane.objects.select_for_update(skip_locked=True).filter(pk=last.pk).exists()
    thread.join()
    assert not Lane.objects.filter(leased_until__isnull=False).exists()
