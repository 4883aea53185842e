"""The reader of the feed: every commit once, in one order, whatever writers and workers do meanwhile."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from core.journal.models import Change
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from events.feed import reader as feed_reader
from events.feed.reader import hold_position, read_feeds, start_feed, waiting_since
from events.models import Delivery, Event, FeedPosition, Lane, Subscription, Target, WebhookConfig
from segments.models import CustomerAssignment
from tests.concurrency.threads import at_once, in_thread
from tests.events.feed.conftest import drain, positions, read_all, read_slice, subscribe
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.segments import SegmentFactory
from tests.waiting import PATIENCE, wait_until

CREATED = "customer-segment.customer-assignment-created"
SEGMENT_CREATED = "customer-segment.segment-created"
HOUR = timedelta(hours=1)


def now():
    return datetime.now(UTC)


def subjects(name=SEGMENT_CREATED):
    return [
        payload["id"]
        for payload in Event.objects.filter(type=name).order_by("pk").values_list("payload", flat=True)
    ]


def test_who_commits_a_lower_id_later_is_not_missed(tenant, site):
    """A reader that goes on behind the highest id it saw never sees the first change."""
    subscribe(tenant, SEGMENT_CREATED)
    written, may_commit = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            SegmentFactory(site=site, external_id="slow")
            written.set()
            may_commit.wait(PATIENCE)

    writer = in_thread(slow)
    assert written.wait(PATIENCE)
    SegmentFactory(site=site, external_id="fast")
    [by_identity] = fetch_rows(sql("SELECT max(id) FROM journal_change WHERE object = 'segment'"))
    read_all()
    assert subjects() == []  # nothing that somebody may still come before
    assert waiting_since(now()) is None
    may_commit.set()
    writer.result(PATIENCE)
    drain()
    assert subjects() == ["slow", "fast"]
    missed = fetch_rows(
        sql(
            "SELECT external_id FROM journal_change WHERE object = 'segment' AND id > {seen}",
            seen=param(by_identity[0]),
        )
    )
    assert missed == []


def test_eight_writers_beside_the_reader(tenant, site):
    subscribe(tenant, CREATED)
    segments = SegmentFactory.create_batch(4, site=site)
    customers = CustomerFactory.create_batch(24, tenant=tenant)
    places = iter(range(8))
    is_over = threading.Event()

    def read():
        while not is_over.is_set():
            read_feeds(now())

    readers = [in_thread(read) for _ in range(2)]

    def write():
        mine = customers[next(places) * 3 :][:3]
        for customer in mine:
            for place, segment in enumerate(segments):
                with transaction.atomic():
                    CustomerAssignment.objects.create(tenant=tenant, segment=segment, customer=customer)
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_sleep(random() * 0.02)")
                    transaction.set_rollback(place == 3)

    at_once(8, write)
    is_over.set()
    for reader in readers:
        reader.result(PATIENCE)
    drain()

    events = Event.objects.filter(type=CREATED).order_by("pk")
    arrived = [(event.payload["segmentId"], event.payload["customer"]["id"]) for event in events]
    assert sorted(arrived) == sorted(
        (segment.external_id, customer.external_id) for segment in segments[:3] for customer in customers
    )
    places_of_events = list(events.values_list("tx", "journal_id", "part"))
    assert all(one < other for one, other in pairwise(places_of_events))


def test_one_reader_at_a_time_reads_for_a_tenant(tenant, other_tenant, site):
    for each in (tenant, other_tenant):
        subscribe(each, SEGMENT_CREATED)
    SegmentFactory(site=site, external_id="here")
    SegmentFactory(site=SiteFactory(tenant=other_tenant), external_id="there")
    held, may_go = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            hold_position(tenant.pk)
            held.set()
            may_go.wait(PATIENCE)

    holder = in_thread(hold)
    assert held.wait(PATIENCE)
    read_slice(now())
    assert subjects() == ["there"]
    may_go.set()
    holder.result(PATIENCE)
    drain()
    assert subjects() == ["there", "here"]


def test_a_tenant_without_subscriptions_has_no_feed(tenant, other_tenant, site):
    subscribe(other_tenant, SEGMENT_CREATED)
    SegmentFactory(site=site)
    assert waiting_since(now()) is None
    assert read_feeds(now()) is False
    assert Event.objects.count() == 0


def test_only_subscribed_types_are_made(tenant, site):
    subscribe(tenant, CREATED)
    SegmentFactory(site=site)
    drain()
    assert Event.objects.count() == 0
    assert waiting_since(now()) is None  # it has been read past


def test_the_feed_begins_with_the_subscription(tenant, site):
    SegmentFactory(site=site, external_id="before")
    with transaction.atomic():
        Subscription.objects.create(tenant=tenant, event_type=SEGMENT_CREATED)
        start_feed(tenant.pk, at=now())
    SegmentFactory(site=site, external_id="after")
    drain()
    assert subjects() == ["after"]


def test_a_change_that_was_committed_before_is_not_in_the_feed_though_others_still_run(tenant, site):
    written, may_commit = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            SegmentFactory(site=site, external_id="running")
            written.set()
            may_commit.wait(PATIENCE)

    writer = in_thread(slow)
    assert written.wait(PATIENCE)
    SegmentFactory(site=site, external_id="before")
    subscribe(tenant, SEGMENT_CREATED)
    may_commit.set()
    writer.result(PATIENCE)
    drain()
    assert subjects() == ["running"]


def test_transactions_of_other_databases_hold_nothing_up(tenant, site):
    subscribe(tenant, SEGMENT_CREATED)
    with psycopg.connect(connection.connection.info.dsn, dbname="postgres") as other:
        other.execute("SELECT pg_current_xact_id()")
        SegmentFactory(site=site, external_id="meanwhile")
        drain()
        assert subjects() == ["meanwhile"]


def test_a_feed_ends_with_the_last_subscription_and_begins_anew(tenant, site):
    subscribe(tenant, SEGMENT_CREATED)
    Subscription.objects.update(state="UNSUBSCRIBED")
    read_feeds(now())
    assert not FeedPosition.objects.exists()
    SegmentFactory(site=site, external_id="meanwhile")
    Subscription.objects.update(state="SUBSCRIBED")
    wait_until(lambda: waiting_since(now()) is not None)
    read_feeds(now())
    SegmentFactory(site=site, external_id="after")
    drain()
    assert subjects() == ["after"]


def test_an_event_is_queued_for_each_of_its_targets_in_order(tenant, site):
    WebhookConfig.objects.create(tenant=tenant)
    url = "https://example.com/"
    first, second = (
        Target.objects.create(tenant=tenant, event_type=SEGMENT_CREATED, destination_url=url) for _ in "12"
    )
    Target.objects.create(tenant=tenant, event_type=SEGMENT_CREATED, destination_url=url, is_active=False)
    default = Target.objects.create(tenant=tenant, destination_url=url)
    subscribe(tenant, SEGMENT_CREATED, "customer-segment.segment-deleted")
    for name in ("gold", "silver"):
        SegmentFactory(site=site, external_id=name)
    drain()
    site.segments.get(external_id="gold").delete()
    drain()
    found = Delivery.objects.order_by("event", "target").values_list("target", "order_key", "event__type")
    assert list(found) == [
        (first.pk, "segment gold", SEGMENT_CREATED),
        (second.pk, "segment gold", SEGMENT_CREATED),
        (first.pk, "segment silver", SEGMENT_CREATED),
        (second.pk, "segment silver", SEGMENT_CREATED),
        (default.pk, "segment gold", "customer-segment.segment-deleted"),
    ]
    lanes = Lane.objects.order_by("target", "order_key").values_list("target", "order_key")
    assert list(lanes) == [
        (first.pk, "segment gold"),
        (first.pk, "segment silver"),
        (second.pk, "segment gold"),
        (second.pk, "segment silver"),
        (default.pk, "segment gold"),
    ]


@pytest.mark.parametrize("members", [1, 500])
def test_the_number_of_statements_does_not_depend_on_the_number_of_members(tenant, site, members):
    segment = SegmentFactory(site=site)
    customers = CustomerFactory.create_batch(members, tenant=tenant)
    subscribe(tenant, CREATED)
    CustomerAssignment.objects.bulk_create(
        CustomerAssignment(tenant=tenant, segment=segment, customer=customer) for customer in customers
    )
    former, statements = positions(), []

    def read():
        with CaptureQueriesContext(connection) as sent:
            read_feeds(now())
        statements.append(len(sent))
        return positions() != former

    wait_until(read)
    assert statements[-1] == 12  # what runs elsewhere, which feeds wait, and one slice of one of them
    assert (
        Event.objects.count()
        == members
        == sum(Change.objects.filter(object="segment-customer").values_list("count", flat=True))
    )


def test_the_reader_pauses_while_more_is_written_than_it_can_read(tenant, site, monkeypatch):
    monkeypatch.setattr(feed_reader, "MOST_CHANGES", 2)
    monkeypatch.setattr(feed_reader, "QUICK_GROWTH", 6)
    monkeypatch.setattr(feed_reader, "RECENTLY", HOUR)
    subscribe(tenant, SEGMENT_CREATED)
    for number in range(8):
        SegmentFactory(site=site, external_id=f"s{number}")
    assert read_slice(now()) is False
    assert subjects() == ["s0", "s1"]
    wait_until(lambda: waiting_since(now()) is not None)  # there is more, for after the pause
    assert read_slice(now() + 2 * HOUR) is True  # nobody writes any more
    assert subjects() == ["s0", "s1", "s2", "s3"]
    monkeypatch.setattr(feed_reader, "QUICK_GROWTH", 1_000)
    assert read_slice(now()) is True
    drain()
    assert len(subjects()) == 8
