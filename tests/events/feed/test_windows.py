"""Each boundary of a window has one event, whenever the worker runs and whoever changes the window."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from core.sql.composition import param, sql
from events.feed.reader import read_feeds, waiting_since
from events.feed.windows import boundaries_due
from events.models import Event
from segments.models import Segment
from tests.events.feed.conftest import subscribe
from tests.factories.segments import SegmentFactory
from tests.waiting import PATIENCE

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def start():
    """The present, later than all that the test will have written."""
    return datetime.now(UTC) + 30 * MINUTE


@pytest.fixture
def gold(tenant, site, start):
    segment = SegmentFactory(
        site=site, external_id="gold", valid_from=start + HOUR, valid_to=start + 2 * HOUR
    )
    subscribe(tenant, "segment.window-opened", "segment.window-closed")
    return segment


def fired():
    return [
        (name.rpartition("-")[2], payload["segmentId"], payload["at"])
        for name, payload in Event.objects.order_by("pk").values_list("type", "payload")
    ]


def wire(at):
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_both_boundaries_once(gold, tenant, start):
    for minute in range(0, 181, 15):
        read_feeds(start + minute * MINUTE)
        read_feeds(start + minute * MINUTE)
    assert fired() == [("opened", "gold", wire(start + HOUR)), ("closed", "gold", wire(start + 2 * HOUR))]
    [payload] = Event.objects.filter(type="segment.window-opened").values_list("payload", flat=True)
    assert payload == {
        "object": "segment",
        "segmentId": "gold",
        "siteCode": "main",
        "status": "ACTIVE",
        "at": wire(start + HOUR),
        "validity": {"from": wire(start + HOUR), "to": wire(start + 2 * HOUR)},
        "tenant": "acme",
    }


def test_the_ends_belong_to_the_window(gold, start):
    read_feeds(start + HOUR - timedelta(microseconds=1))
    assert fired() == []
    read_feeds(start + HOUR)
    assert [name for name, *_ in fired()] == ["opened"]
    read_feeds(start + 2 * HOUR)
    assert [name for name, *_ in fired()] == ["opened"]
    read_feeds(start + 2 * HOUR + timedelta(microseconds=1))
    assert [name for name, *_ in fired()] == ["opened", "closed"]


def test_boundaries_that_passed_while_no_worker_ran(gold, start):
    assert waiting_since(start) is None
    assert waiting_since(start + 5 * HOUR) == start + HOUR
    read_feeds(start + 5 * HOUR)
    assert [name for name, *_ in fired()] == ["opened", "closed"]
    assert waiting_since(start + 6 * HOUR) is None


def test_a_window_that_is_moved_or_removed_before_it_fires(gold, site, start):
    other = SegmentFactory(site=site, external_id="other", valid_to=start + HOUR)
    read_feeds(start)
    Segment.objects.filter(pk=gold.pk).update(valid_from=start + 90 * MINUTE)
    other.delete()
    read_feeds(start + 80 * MINUTE)
    assert fired() == []
    read_feeds(start + 100 * MINUTE)
    assert fired() == [("opened", "gold", wire(start + 90 * MINUTE))]


def test_a_window_that_is_moved_into_the_past_opens_by_the_change_alone(gold, start):
    Segment.objects.filter(pk=gold.pk).update(valid_from=datetime.now(UTC) - MINUTE)
    read_feeds(start + MINUTE)
    assert fired() == []


def test_a_window_that_is_committed_behind_its_boundary_fires_once(tenant, site):
    """Its boundary passes, for the reader, while the transaction that wrote it is still running."""
    subscribe(tenant, "segment.window-opened", "segment.window-closed")
    boundary = datetime.now(UTC) + 30 * MINUTE
    written, passed = threading.Event(), threading.Event()

    def write():
        with transaction.atomic():
            SegmentFactory(site=site, external_id="late", valid_from=boundary)
            written.set()
            passed.wait(PATIENCE)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(PATIENCE)
    later = boundary + MINUTE
    SegmentFactory(site=site, external_id="punctual", valid_from=boundary + timedelta(seconds=1))
    read_feeds(later)
    assert [segment for _, segment, _ in fired()] == ["punctual"]
    passed.set()
    writer.join()
    for _ in range(3):
        read_feeds(later + MINUTE)
    assert [segment for _, segment, _ in fired()] == ["punctual", "late"]


def test_the_search_for_boundaries_uses_the_index(gold, start):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segments_segment (tenant_id, site_id, external_id, name, description, status,"
            " valid_from, valid_to, version, created_at, modified_at)"
            " SELECT tenant_id, site_id, 'S' || number, name, description, status,"
            " valid_from + number * interval '1 hour', valid_to + number * interval '1 hour', 1, created_at,"
            " modified_at FROM segments_segment, generate_series(1, 3000) AS number"
        )
        cursor.execute("ANALYZE segments_segment")
        statement = sql(
            "EXPLAIN SELECT {due} FROM events_feedposition AS position",
            due=boundaries_due("position", param(start, "timestamptz")),
        )
        cursor.execute(statement.sql, statement.params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "segment_window_opens" in plan
    assert "segment_window_closes" in plan
