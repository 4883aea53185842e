"""Sends what waits in lanes, and records what became of it.

Lanes are leased and read in one transaction, sent by threads outside of any, and recorded in another. A
worker that dies in between loses nothing: its leases end, and the same events are sent again with the same
ids. What a transaction costs is shared by many events: those of one lane, or the first ones of many lanes,
are a batch, which one thread sends. At most BATCHES_OF_TARGET of a target are sent at once, and one lane
while it fails, so that a slow or dead target holds up nobody but itself.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson
from django.db import transaction
from django.utils import timezone

from core.sql.composition import SqlValues, param, sql
from core.sql.fetching import execute, fetch_rows
from core.timestamps import format_time
from events.event_types import TEST_EVENT
from events.filters import matches
from events.models import DeliveryState
from events.schedule import FAILURES_UNTIL_PAUSE, next_attempt, pause_of_target
from events.sending.requests import Answer, send
from events.sending.signatures import event_body, published_signature, standard_signatures

THREADS = 64
BATCHES_OF_TARGET = 4
LANES_OF_BATCH = 50
EVENTS_OF_BATCH = 50  # about: each lane gets the same share
BYTES_OF_BATCH = 1_000_000  # of payloads
BATCH_TIME = 10.0  # seconds, after which a batch is given back
LEASE = timedelta(seconds=60)  # longer than BATCH_TIME and one more request
SLICE = 0.5  # seconds; the feed is read by the same thread
WAIT = 0.2  # seconds for the next result
GONE = 410
MOST_ATTEMPTS_COUNTED = 32_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pending:
    """A delivery that waits in a lane, with its event."""

    lane: int
    key: int
    attempts: int
    first_attempt_at: datetime | None
    event_id: str
    type: str
    payload: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Route:
    """Where a lane's events go: the target's own settings, or else those of the default target."""

    url: str
    secrets: tuple[str, ...]
    headers: dict[str, str]
    filter: str
    excluded_fields: dict[str, frozenset[str]] | frozenset[str]
    is_active: bool

    def excluded(self, event_type: str) -> frozenset[str]:
        if isinstance(self.excluded_fields, frozenset):
            return self.excluded_fields
        return self.excluded_fields.get(event_type, frozenset())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one delivery."""

    pending: Pending
    state: DeliveryState
    answer: Answer | None
    at: datetime


@dataclass(slots=True, eq=False)
class Batch:
    """Lanes of one target that this process holds until `leased_until`, and what it sends of them."""

    tenant_id: int
    target_id: int
    failures: int
    is_paused: bool
    route: Route
    leased_until: datetime
    lanes: list[int]
    pending: list[Pending] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


def due_since() -> datetime | None:
    """Return since when a lane waits whose target is not paused; None for no work."""
    if dispatcher.in_flight:
        return timezone.now()
    rows = fetch_rows(
        sql(
            "SELECT lane.due_at FROM events_lane AS lane JOIN events_target AS target"
            " ON target.id = lane.target_id WHERE lane.due_at <= {at}"
            " AND (lane.leased_until IS NULL OR lane.leased_until <= {at})"
            " AND (target.resume_at IS NULL OR target.resume_at <= {at}) ORDER BY lane.due_at LIMIT 1",
            at=param(timezone.now()),
        )
    )
    return rows[0][0] if rows else None


@transaction.atomic
def lease_batches(*, busy: Counter[int], most: int, at: datetime) -> list[Batch]:
    """Lease lanes that are due, a few batches of each target, with the events that come first in them."""
    rows = fetch_rows(
        sql(
            DUE_LANES,
            busy=param(list(busy), "bigint[]"),
            counts=param(list(busy.values()), "bigint[]"),
            at=param(at),
            pause=param(FAILURES_UNTIL_PAUSE, "int"),
            batches=param(BATCHES_OF_TARGET, "int"),
            lanes=param(LANES_OF_BATCH, "int"),
            most=param(most, "int"),
        )
    )
    if not rows:
        return []
    leased_until = at + LEASE
    execute(
        sql(
            "UPDATE events_lane SET leased_until = {until} WHERE id = ANY({keys})",
            until=param(leased_until),
            keys=param([lane for _, _, lane in rows], "bigint[]"),
        )
    )
    lanes_of: dict[tuple[int, int], list[int]] = {}
    for target_id, count, lane in rows:
        lanes_of.setdefault((target_id, count), []).append(lane)
    targets = param([target_id for target_id, _ in lanes_of], "bigint[]")
    settings = {row[0]: row for row in fetch_rows(sql(TARGETS, keys=targets, at=param(at)))}
    batches = [
        leased_batch(settings[target_id], lanes[number::count], leased_until)
        for (target_id, count), lanes in lanes_of.items()
        for number in range(min(count, len(lanes)))
    ]
    read_events(batches)
    return batches


DUE_LANES = (
    "SELECT open.id, open.batches, lane.id FROM ("
    # threads are shared by the targets that have something to send, those with the fewest of them first
    "SELECT target.id, target.is_failing,"
    " least(target.batches, greatest(1, {most} / count(*) OVER ())) AS batches FROM ("
    "SELECT target.id, target.failures >= {pause} AS is_failing,"
    " CASE WHEN target.failures >= {pause} THEN 1 ELSE {batches} END - coalesce(busy.count, 0) AS batches"
    " FROM events_target AS target"
    " LEFT JOIN unnest({busy}, {counts}) AS busy(target_id, count) ON busy.target_id = target.id"
    " WHERE (target.resume_at IS NULL OR target.resume_at <= {at})"
    " AND CASE WHEN target.failures >= {pause} THEN 1 ELSE {batches} END > coalesce(busy.count, 0)"
    " AND EXISTS (SELECT FROM events_lane AS lane WHERE lane.target_id = target.id AND lane.due_at <= {at}"
    " AND (lane.leased_until IS NULL OR lane.leased_until <= {at}))"
    " ORDER BY coalesce(busy.count, 0), random() LIMIT {most}) AS target) AS open"
    " CROSS JOIN LATERAL (SELECT lane.id, lane.due_at FROM events_lane AS lane"
    " WHERE lane.target_id = open.id AND lane.due_at <= {at}"
    " AND (lane.leased_until IS NULL OR lane.leased_until <= {at}) ORDER BY lane.due_at, lane.id"
    " LIMIT CASE WHEN open.is_failing THEN 1 ELSE open.batches * {lanes} END"
    " FOR UPDATE SKIP LOCKED) AS lane ORDER BY open.id, lane.due_at, lane.id"
)
TARGETS = (
    "SELECT target.id, target.tenant_id, target.failures, target.resume_at IS NOT NULL,"
    " coalesce(nullif(target.destination_url, ''), base.destination_url, ''),"
    " CASE WHEN target.secret_key <> '' THEN target.secret_key ELSE coalesce(base.secret_key, '') END,"
    " CASE WHEN target.secret_key <> '' THEN CASE WHEN target.previous_secret_until > {at}"
    " THEN target.previous_secret_key ELSE '' END"
    " WHEN base.previous_secret_until > {at} THEN base.previous_secret_key ELSE '' END,"
    " CASE WHEN target.headers <> '{{}}' THEN target.headers ELSE coalesce(base.headers, '{{}}') END::text,"
    " target.filter, to_json(target.excluded_fields)::text,"
    " (SELECT json_object_agg(subscription.event_type, subscription.excluded_fields)"
    " FROM events_subscription AS subscription WHERE subscription.tenant_id = target.tenant_id)::text,"
    " target.is_active AND coalesce(config.is_active, false)"
    " FROM events_target AS target"
    " LEFT JOIN events_target AS base ON base.tenant_id = target.tenant_id AND base.event_type = ''"
    " LEFT JOIN events_webhookconfig AS config ON config.tenant_id = target.tenant_id"
    " WHERE target.id = ANY({keys})"
)
EVENTS = (
    "SELECT waiting.batch, waiting.lane, waiting.id, waiting.attempts, waiting.first_attempt_at,"
    " waiting.external_id, waiting.type, waiting.payload, waiting.occurred_at FROM ("
    "SELECT given.batch, given.place, lane.id AS lane, first.*, sum(length(first.payload))"
    " OVER (PARTITION BY given.batch ORDER BY given.place, first.event_id) AS bytes"
    " FROM unnest({keys}, {batches}, {counts}) WITH ORDINALITY AS given(id, batch, most, place)"
    " JOIN events_lane AS lane ON lane.id = given.id CROSS JOIN LATERAL ("
    "SELECT delivery.id, delivery.event_id, delivery.attempts, delivery.first_attempt_at,"
    " event.external_id, event.type, event.payload::text AS payload, event.occurred_at"
    " FROM events_delivery AS delivery JOIN events_event AS event ON event.id = delivery.event_id"
    " WHERE delivery.target_id = lane.target_id AND delivery.order_key = lane.order_key"
    " AND delivery.state = 'PENDING' ORDER BY delivery.event_id LIMIT given.most) AS first) AS waiting"
    " WHERE waiting.bytes - length(waiting.payload) < {bytes}"
    " ORDER BY waiting.batch, waiting.place, waiting.event_id"
)


def leased_batch(row: SqlValues, lanes: list[int], leased_until: datetime) -> Batch:
    target_id, tenant_id, failures, is_paused, *settings = row
    url, secret, previous, headers, expression, own, by_type, is_active = settings
    excluded: dict[str, frozenset[str]] | frozenset[str]
    if own is None:
        excluded = {name: frozenset(fields) for name, fields in orjson.loads(by_type or "{}").items()}
    else:
        excluded = frozenset(orjson.loads(own))
    route = Route(
        url,
        tuple(filter(None, (secret, previous))),
        orjson.loads(headers),
        expression,
        excluded,
        is_active,
    )
    return Batch(tenant_id, target_id, failures, is_paused, route, leased_until, lanes)


def read_events(batches: Sequence[Batch]) -> None:
    """Read the first events of the lanes; a lane whose events no longer fit into its batch waits."""
    rows = [
        (lane, number, -(-EVENTS_OF_BATCH // len(batch.lanes)))
        for number, batch in enumerate(batches)
        for lane in batch.lanes
    ]
    keys, numbers, counts = zip(*rows, strict=True)
    for number, *values in fetch_rows(
        sql(
            EVENTS,
            keys=param(list(keys), "bigint[]"),
            batches=param(list(numbers), "int[]"),
            counts=param(list(counts), "int[]"),
            bytes=param(BYTES_OF_BATCH),
        )
    ):
        batches[number].pending.append(Pending(*values))


def send_batch(batch: Batch, is_stopping: threading.Event) -> None:
    """Send events one after the other, until one does not arrive or the time is up."""
    end = time.monotonic() + BATCH_TIME
    for pending in batch.pending:
        outcome = send_event(batch.route, pending)
        batch.outcomes.append(outcome)
        if outcome.state in (DeliveryState.PENDING, DeliveryState.FAILED):
            break
        if is_stopping.is_set() or time.monotonic() >= end:
            break


def send_event(route: Route, pending: Pending) -> Outcome:
    """Send one event. PENDING means that the target did not take it."""
    at = timezone.now()
    if not route.url or not (route.is_active or pending.type == TEST_EVENT):
        return Outcome(pending, DeliveryState.DROPPED, None, at)
    payload = orjson.loads(pending.payload)
    if pending.type != TEST_EVENT and not matches(route.filter, payload):
        return Outcome(pending, DeliveryState.FILTERED, None, at)
    excluded = route.excluded(pending.type)
    if excluded:
        payload = {name: value for name, value in payload.items() if name not in excluded}
    body = event_body(pending.type, payload)
    answer = send("POST", route.url, body=body, headers=headers_of(route, pending, body, at))
    if answer.is_success:
        return Outcome(pending, DeliveryState.DELIVERED, answer, at)
    state = DeliveryState.FAILED if answer.status == GONE else DeliveryState.PENDING
    return Outcome(pending, state, answer, at)


def headers_of(route: Route, pending: Pending, body: bytes, at: datetime) -> dict[str, str]:
    timestamp = int(at.timestamp())
    headers = {
        **route.headers,
        "Content-Type": "application/json",
        "emporix-event-publish-time": format_time(pending.occurred_at),
        "webhook-id": pending.event_id,
        "webhook-timestamp": str(timestamp),
    }
    if route.secrets:
        headers["emporix-event-signature"] = published_signature(route.secrets[0], body)
        headers["webhook-signature"] = standard_signatures(route.secrets, pending.event_id, timestamp, body)
    return headers


@transaction.atomic
def record(batches: Sequence[Batch]) -> None:
    """Record what became of deliveries, and let others have the lanes again."""
    leases = {lane: batch.leased_until for batch in batches for lane in batch.lanes}
    # in the order in which the feed locks them when it queues deliveries
    locks = "SELECT id FROM events_lane WHERE id = ANY({keys}) ORDER BY target_id, order_key FOR UPDATE"
    fetch_rows(sql(locks, keys=param(list(leases), "bigint[]")))
    now = timezone.now()
    rows = []
    due: dict[int, datetime] = {}
    for outcome in (outcome for batch in batches for outcome in batch.outcomes):
        state = outcome.state
        if state == DeliveryState.PENDING:
            assert outcome.answer is not None
            due_at = next_attempt(
                at=outcome.at,
                attempts=outcome.pending.attempts + 1,
                first_attempt_at=outcome.pending.first_attempt_at or outcome.at,
                retry_after=outcome.answer.retry_after,
            )
            if due_at is None:
                state = DeliveryState.FAILED
            else:
                due[outcome.pending.lane] = due_at
        rows.append((outcome, state))
    store_outcomes(rows, now)
    for batch in sorted(batches, key=lambda one: one.target_id):
        note_target(batch)
    execute(
        sql(
            "UPDATE events_lane AS lane SET leased_until = NULL, due_at = coalesce(given.due_at,"
            " CASE WHEN EXISTS (SELECT FROM events_delivery AS delivery"
            " WHERE delivery.target_id = lane.target_id AND delivery.order_key = lane.order_key"
            " AND delivery.state = 'PENDING') THEN {at}::timestamptz END)"
            " FROM unnest({keys}, {leases}, {due}) AS given(id, lease, due_at)"
            " WHERE lane.id = given.id AND lane.leased_until = given.lease",
            at=param(now),
            keys=param(list(leases), "bigint[]"),
            leases=param(list(leases.values()), "timestamptz[]"),
            due=param([due.get(lane) for lane in leases], "timestamptz[]"),
        )
    )
    count_delivered(batches, now)


def store_outcomes(rows: Sequence[tuple[Outcome, DeliveryState]], at: datetime) -> None:
    if not rows:
        return
    answers = [outcome.answer or Answer(None) for outcome, _ in rows]
    execute(
        sql(
            "UPDATE events_delivery AS delivery SET state = done.state,"
            " attempts = least(delivery.attempts + done.sent, {counted}),"
            " first_attempt_at = CASE WHEN done.sent = 1"
            " THEN coalesce(delivery.first_attempt_at, done.at) ELSE delivery.first_attempt_at END,"
            " last_attempt_at = CASE WHEN done.sent = 1 THEN done.at ELSE delivery.last_attempt_at END,"
            " finished_at = CASE WHEN done.state <> 'PENDING' THEN {at}::timestamptz END,"
            " last_status = done.status, last_answer = done.answer, last_error = done.error"
            " FROM unnest({keys}, {states}, {sent}, {times}, {statuses}, {answers}, {errors})"
            " AS done(id, state, sent, at, status, answer, error)"
            " WHERE delivery.id = done.id AND delivery.state = 'PENDING'",
            counted=param(MOST_ATTEMPTS_COUNTED, "int"),
            at=param(at),
            keys=param([outcome.pending.key for outcome, _ in rows], "bigint[]"),
            states=param([state.value for _, state in rows], "text[]"),
            sent=param([int(outcome.answer is not None) for outcome, _ in rows], "int[]"),
            times=param([outcome.at for outcome, _ in rows], "timestamptz[]"),
            statuses=param([answer.status for answer in answers], "smallint[]"),
            answers=param([answer.excerpt for answer in answers], "text[]"),
            errors=param([answer.error for answer in answers], "text[]"),
        )
    )


def note_target(batch: Batch) -> None:
    """Record whether a target answers: after failures it is paused for a while.

    When it answers again, everything that waits for it is sent at once.
    """
    sent = [outcome for outcome in batch.outcomes if outcome.answer is not None]
    if not sent:
        return
    last = sent[-1]
    assert last.answer is not None
    target, at = param(batch.target_id), param(last.at)
    if last.answer.is_success:
        if not batch.failures and not batch.is_paused:
            return
        execute(
            sql(
                "UPDATE events_target SET failures = 0, failing_since = NULL, resume_at = NULL"
                " WHERE id = {target} AND (failures > 0 OR resume_at IS NOT NULL)",
                target=target,
            )
        )
        if batch.is_paused:
            execute(
                sql(
                    "UPDATE events_lane SET due_at = {at} WHERE target_id = {target} AND due_at > {at}",
                    target=target,
                    at=at,
                )
            )
        return
    if last.answer.status == GONE:
        execute(
            sql(
                "UPDATE events_target SET is_active = FALSE, turned_off_reason = {reason},"
                " modified_at = {at} WHERE id = {target} AND is_active",
                reason=param("The target answered 410 Gone."),
                target=target,
                at=at,
            )
        )
        return
    first = len(sent) == 1
    failures = batch.failures + 1 if first else 1
    resume_at = pause_of_target(
        at=last.at,
        failures=failures,
        has_answered=last.answer.status is not None,
        retry_after=last.answer.retry_after,
    )
    execute(
        sql(
            "UPDATE events_target SET failures = CASE WHEN {first} THEN failures + 1 ELSE 1 END,"
            " failing_since = coalesce(failing_since, {at}),"
            " resume_at = greatest(resume_at, {resume}) WHERE id = {target}",
            first=param(first),
            resume=param(resume_at, "timestamptz"),
            target=target,
            at=at,
        )
    )


def count_delivered(batches: Sequence[Batch], at: datetime) -> None:
    counts: Counter[int] = Counter()
    for batch in batches:
        counts[batch.tenant_id] += sum(
            outcome.state == DeliveryState.DELIVERED and outcome.pending.type != TEST_EVENT
            for outcome in batch.outcomes
        )
    for tenant_id, count in sorted(counts.items()):
        if count:
            execute(
                sql(
                    "INSERT INTO events_monthlycount (tenant_id, month, delivered)"
                    " VALUES ({tenant}, {month}, {count}) ON CONFLICT (tenant_id, month)"
                    " DO UPDATE SET delivered = events_monthlycount.delivered + excluded.delivered",
                    tenant=param(tenant_id),
                    month=param(f"{at:%Y-%m}"),
                    count=param(count),
                )
            )


class Dispatcher:
    """Lends batches to threads that send them, and records what comes back. One thread calls it."""

    def __init__(self) -> None:
        self.in_flight: list[Batch] = []
        self._work: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._is_stopping = threading.Event()

    def run(self, at: datetime) -> bool:
        """Send and record for a moment; return whether there is more to do at once."""
        end = time.monotonic() + SLICE
        has_more = True
        while has_more and time.monotonic() < end:
            free = THREADS - len(self.in_flight)
            busy = Counter(batch.target_id for batch in self.in_flight)
            leased = lease_batches(busy=busy, most=free, at=timezone.now()) if free else []
            for batch in leased:
                self._start(batch)
            finished = self._finished(WAIT) if self.in_flight else []
            self._record(finished)
            has_more = bool(leased or finished)
        return has_more

    def finish(self) -> None:
        """End what is being sent after the present requests, and record it. For the end of a worker."""
        self._is_stopping.set()
        try:
            while self.in_flight:
                self._record(self._finished(1.0))
        finally:
            self._is_stopping.clear()

    def _start(self, batch: Batch) -> None:
        self.in_flight.append(batch)
        if len(self._threads) < min(THREADS, len(self.in_flight)):
            thread = threading.Thread(target=self._send, name="webhook sender", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._work.put(batch)

    def _send(self) -> None:
        while True:
            batch = self._work.get()
            try:
                send_batch(batch, self._is_stopping)
            except Exception as error:  # noqa: BLE001 -- whatever fails in one batch, the others go on
                logger.exception("An event could not be sent: %s", error)
                failed = batch.pending[len(batch.outcomes)]
                answer = Answer(None, error="The event could not be sent; the log says why.")
                batch.outcomes.append(Outcome(failed, DeliveryState.PENDING, answer, timezone.now()))
            self._done.put(batch)

    def _finished(self, wait: float) -> list[Batch]:
        """Return the batches that came back, after waiting a while for the first one."""
        finished: list[Batch] = []
        try:
            finished.append(self._done.get(timeout=wait))
            while True:
                finished.append(self._done.get_nowait())
        except queue.Empty:
            return finished

    def _record(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self.in_flight.remove(batch)
        if batches:
            record(batches)


dispatcher = Dispatcher()
"""The one of this process."""
