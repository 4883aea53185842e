"""Events are sent in order, signed, filtered and cut; targets that fail hold up nobody else."""

import base64
import hashlib
import hmac
import json
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from events import delivering
from events.models import Delivery, Lane, MonthlyCount, Target
from events.operations.configuration import rotate_secret
from events.operations.deliveries import replay_deliveries, retry_delivery, send_test_event
from events.schedule import DELAYS, GIVEN_UP_AFTER
from events.sending import requests
from tests.events.receiver import Received, Receiver
from tests.events.webhooks import Webhooks, ids
from tests.factories.events import SubscriptionFactory
from tests.waiting import PATIENCE

SECRET = "geheim-ä"


def published_rule(request: Received, secret: str) -> str:
    """The rule as a receiver writes it: parse, sort the keys, write without blanks, sign."""
    text = json.dumps(json.loads(request.body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def standard_secret(secret: str) -> str:
    return "whsec_" + base64.b64encode(secret.encode()).decode()


@pytest.fixture
def now_is_real(real_time: None) -> None:
    """Signatures are verified with the time of now."""


def test_an_event_arrives_signed_by_both_rules(shop: Webhooks, receiver: Receiver, now_is_real: None):
    target = shop.target(f"{receiver.url}/hook?x=1", secret_key=SECRET, headers={"X-Shop": "acme"})
    payload = {"id": "gold", "name": {"en": "Gold", "de": "Größe"}, "amount": 10.0, "share": 0.5}
    [event] = shop.happen(target, payload=payload)
    shop.send()

    [request] = receiver.received
    assert request.path == "/hook?x=1"
    assert request.body.decode() == (
        '{"payload":{"amount":10,"id":"gold","name":{"de":"Größe","en":"Gold"},"share":0.5},'
        '"type":"customer-segment.segment-created"}'
    )
    assert request.headers["x-shop"] == "acme"
    assert request.headers["content-type"] == "application/json"
    assert request.event_id == event.external_id
    assert request.headers["emporix-event-signature"] == published_rule(request, SECRET)
    assert (
        Webhook(standard_secret(SECRET)).verify(request.body, request.headers)["payload"] == request.payload
    )
    assert shop.states(target) == ["DELIVERED"]
    assert MonthlyCount.objects.get(tenant=shop.tenant).delivered == 1
    assert Lane.objects.get().due_at is None


def test_without_a_secret_nothing_is_signed(shop: Webhooks, receiver: Receiver):
    shop.happen(shop.target(receiver.url))
    shop.send()
    assert {name for name in receiver.received[0].headers if "signature" in name} == set()


def test_what_a_target_lacks_is_taken_from_the_default_target(
    shop: Webhooks, receiver: Receiver, now_is_real: None
):
    shop.target(f"{receiver.url}/all", event_type="", secret_key=SECRET, headers={"X-Shop": "acme"})
    shop.happen(shop.target(""))
    shop.send()
    [request] = receiver.at("/all")
    assert request.headers["x-shop"] == "acme"
    assert Webhook(standard_secret(SECRET)).verify(request.body, request.headers)


def test_while_a_secret_is_replaced_both_verify(shop: Webhooks, receiver: Receiver, now_is_real: None, clock):
    target = shop.target(receiver.url, secret_key="first")
    rotate_secret(target, "second", timezone.now())
    target.save()
    shop.happen(target)
    shop.send()
    [request] = receiver.received
    for secret in ("first", "second"):
        Webhook(standard_secret(secret)).verify(request.body, request.headers)
    assert request.headers["emporix-event-signature"] == published_rule(request, "second")

    clock.advance(timedelta(hours=25))
    shop.happen(target)
    shop.send()
    assert receiver.received[1].headers["webhook-signature"].count("v1,") == 1


def test_a_standard_secret_is_used_as_it_is(shop: Webhooks, receiver: Receiver, now_is_real: None):
    secret = standard_secret("twenty-four-bytes-of-key")
    shop.happen(shop.target(receiver.url, secret_key=secret))
    shop.send()
    [request] = receiver.received
    Webhook(secret).verify(request.body, request.headers)
    assert request.headers["emporix-event-signature"] == published_rule(request, secret)


def test_a_filter_keeps_what_matches(shop: Webhooks, receiver: Receiver):
    target = shop.target(receiver.url, filter="$[?(@.status == 'ACTIVE' && @.amount > 5)]")
    shop.happen(target, payload={"status": "ACTIVE", "amount": 6})
    shop.happen(target, payload={"status": "ACTIVE", "amount": 5})
    shop.happen(target, payload={"status": "INACTIVE", "amount": 6})
    shop.send()
    assert [request.payload["amount"] for request in receiver.received] == [6]
    assert shop.states(target) == ["DELIVERED", "FILTERED", "FILTERED"]


def test_fields_are_left_out_as_the_target_or_else_the_subscription_says(shop: Webhooks, receiver: Receiver):
    SubscriptionFactory(tenant=shop.tenant, excluded_fields=["name"])
    payload = {"id": "gold", "name": {"en": "Gold"}, "status": "ACTIVE"}
    own = shop.target(f"{receiver.url}/own", excluded_fields=["status"])
    none = shop.target(f"{receiver.url}/none", excluded_fields=[])
    inherited = shop.target(f"{receiver.url}/inherited")
    shop.happen(own, none, inherited, payload=payload)
    shop.send()
    sent = {request.path: sorted(request.payload) for request in receiver.received}
    assert sent == {
        "/own": ["id", "name"],
        "/none": ["id", "name", "status"],
        "/inherited": ["id", "status"],
    }


def test_an_event_that_is_too_large_arrives_thin(shop: Webhooks, receiver: Receiver):
    payload = {
        "id": "gold",
        "customer": {"id": "C1", "email": "a@b.example"},
        "mixins": {"text": "x" * 300_000},
        "note": "y" * 300_000,
    }
    shop.happen(shop.target(receiver.url), payload=payload)
    shop.send()
    [request] = receiver.received
    assert request.payload == {"id": "gold", "customer": {"id": "C1"}, "truncated": True}


def test_events_of_a_key_wait_for_the_first_one_and_others_do_not(shop: Webhooks, receiver: Receiver, clock):
    target = shop.target(f"{receiver.url}/hook")
    receiver.answers["/hook"] = lambda request, handler: (
        handler.send_error(500) if request.payload["id"] == "poison" else handler_ok(handler)
    )
    poison = shop.happen(target, payload={"id": "poison"})
    behind = shop.happen(target, count=2)
    others = shop.happen(target, count=2, order_key="segment silver")
    shop.send()
    assert shop.states(target) == ["PENDING", "PENDING", "PENDING", "DELIVERED", "DELIVERED"]
    failed = Delivery.objects.get(event=poison[0])
    assert (failed.attempts, failed.last_status) == (1, 500)
    assert failed.last_error == "The target answered 500."
    lane = Lane.objects.get(order_key="segment gold")
    assert DELAYS[0] <= lane.due_at - clock.at <= DELAYS[0] * 1.2

    shop.send()
    assert failed.attempts == Delivery.objects.get(pk=failed.pk).attempts
    del receiver.answers["/hook"]
    clock.advance(timedelta(seconds=7))
    shop.send()
    arrived = [request.event_id for request in receiver.received]
    assert set(arrived[:3]) == set(ids([*poison, *others]))
    assert arrived[3:] == ids([*poison, *behind])  # the same id in all attempts
    assert shop.states(target) == ["DELIVERED"] * 5


def handler_ok(handler: object) -> None:
    handler.send_response(200)  # type: ignore[attr-defined]
    handler.send_header("Content-Length", "0")  # type: ignore[attr-defined]
    handler.end_headers()  # type: ignore[attr-defined]


def test_attempts_follow_the_schedule_until_the_delivery_is_given_up(
    shop: Webhooks, receiver: Receiver, clock
):
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 503)
    [event] = shop.happen(target)
    begin = clock.at
    times = []
    while Delivery.objects.get(event=event).state == "PENDING" and len(times) < 30:
        shop.send()
        times.append(clock.at - begin)
        if due_at := Lane.objects.get().due_at:
            Target.objects.update(resume_at=None)
            clock.at = due_at
    delays = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    expected = [*DELAYS, *[DELAYS[-1]] * (len(delays) - len(DELAYS))]
    assert all(wanted <= delay <= wanted * 1.2 for delay, wanted in zip(delays, expected, strict=True)), (
        delays
    )
    assert len(receiver.received) == len(times)
    assert GIVEN_UP_AFTER - DELAYS[-1] * 1.2 <= times[-1] <= GIVEN_UP_AFTER
    assert shop.states(target) == ["FAILED"]


def test_gone_turns_the_target_off(shop: Webhooks, receiver: Receiver):
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 410)
    shop.happen(target, count=3)
    shop.send()
    target.refresh_from_db()
    assert (target.is_active, target.turned_off_reason) == (False, "The target answered 410 Gone.")
    assert len(receiver.received) == 1
    assert shop.states(target) == ["FAILED", "DROPPED", "DROPPED"]


@pytest.mark.parametrize(
    "header",
    [
        "Fri, 01 Jan 2027 00:00:00 +99999999999999999999",
        f"Fri, 01 Jan {'9' * 30} 00:00:00 GMT",
        "soon",
    ],
)
def test_a_pause_that_is_none_is_no_fault_of_the_answer(shop: Webhooks, receiver: Receiver, header: str):
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 200, Retry_After=header)
    shop.happen(target)
    shop.send()
    assert shop.states(target) == ["DELIVERED"]


def test_a_target_that_wants_to_be_left_alone_is(shop: Webhooks, receiver: Receiver, clock):
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 429, Retry_After="120")
    shop.happen(target)
    shop.send()
    shop.happen(target, order_key="segment silver")
    del receiver.answers["/hook"]
    clock.advance(timedelta(seconds=119))
    shop.send()
    assert len(receiver.received) == 1
    clock.advance(timedelta(seconds=30))
    shop.send()
    assert shop.states(target) == ["DELIVERED", "DELIVERED"]


def test_a_redirect_is_not_followed(shop: Webhooks, receiver: Receiver):
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 307, Location=f"{receiver.url}/inside")
    shop.happen(target)
    shop.send()
    assert receiver.at("/inside") == []
    assert "redirect" in Delivery.objects.get().last_error


def test_an_answer_byte_by_byte_ends_when_the_time_is_up(
    shop: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(requests, "TIMEOUT", 0.5)
    target = shop.target(f"{receiver.url}/hook")
    receiver.drip("/hook", seconds=20)
    shop.happen(target)
    shop.send()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_error) == ("PENDING", "The target did not answer within 0.5 s.")


def test_a_target_that_does_not_answer_delays_nobody_else(shop: Webhooks, receiver: Receiver):
    slow, quick = shop.target(f"{receiver.url}/slow"), shop.target(f"{receiver.url}/quick")
    release = receiver.hold("/slow")
    for number in range(10):
        shop.happen(slow, quick, order_key=f"segment {number}")
    for _ in range(100):
        if len(receiver.at("/quick")) < 10:
            shop.dispatcher.run(timezone.now())
    assert len(receiver.at("/slow")) <= 4
    release.set()
    shop.send()
    assert shop.states(slow) == shop.states(quick) == ["DELIVERED"] * 10


def test_a_target_that_was_down_for_a_day_gets_its_events_in_order(shop: Webhooks, receiver: Receiver, clock):
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 500)
    made = {key: shop.happen(target, count=20, order_key=key) for key in ("segment gold", "segment silver")}
    for _ in range(24):
        shop.send()
        clock.advance(timedelta(hours=1))
    assert len(receiver.received) < 50
    target.refresh_from_db()
    assert target.failing_since is not None
    receiver.received.clear()
    del receiver.answers["/hook"]
    Lane.objects.filter(order_key="segment gold").update(due_at=clock.at)
    shop.send()
    arrived = [request.event_id for request in receiver.received]
    for events in made.values():
        assert [one for one in arrived if one in ids(events)] == ids(events)
    target.refresh_from_db()
    assert (target.failures, target.failing_since, target.resume_at) == (0, None, None)


def test_a_delivery_is_sent_again_by_hand(shop: Webhooks, receiver: Receiver, now):
    target = shop.target(f"{receiver.url}/hook")
    [event] = shop.happen(target)
    shop.send()
    delivery = Delivery.objects.get()
    retry_delivery(tenant_id=shop.tenant.pk, delivery_id=delivery.pk, at=now)
    shop.send()
    assert [request.event_id for request in receiver.received] == [event.external_id] * 2


def test_a_replay_sends_what_happened_since_also_what_the_target_never_got(
    shop: Webhooks, receiver: Receiver, clock
):
    SubscriptionFactory(tenant=shop.tenant)
    earlier = shop.target(f"{receiver.url}/earlier")
    shop.happen(earlier, count=2)
    clock.advance(timedelta(hours=1))
    since = clock.at
    events = shop.happen(earlier, count=3)
    shop.happen(earlier, type="coupon.created")
    later = shop.target(f"{receiver.url}/later")
    shop.send()
    assert replay_deliveries(target=later, since=since, at=clock.at) == 3
    assert replay_deliveries(target=later, since=since, only_failed=True, at=clock.at) == 0
    shop.send()
    assert [request.event_id for request in receiver.at("/later")] == ids(events)


def test_a_test_event_goes_to_one_target_past_its_filter(shop: Webhooks, receiver: Receiver, now):
    target = shop.target(f"{receiver.url}/hook", filter="$[?(@.id == 'gold')]", is_active=False)
    shop.target(f"{receiver.url}/other")
    delivery = send_test_event(target=target, at=now)
    shop.send()
    [request] = receiver.received
    assert json.loads(request.body)["type"] == "webhook.test"
    delivery.refresh_from_db()
    assert delivery.state == "DELIVERED"
    assert not MonthlyCount.objects.exists()


def test_what_waits_is_dropped_when_the_configuration_is_switched_off(shop: Webhooks, receiver: Receiver):
    target = shop.target(receiver.url)
    shop.happen(target, count=3)
    shop.tenant.refresh_from_db()
    type(shop.target(receiver.url, event_type="coupon.created")).objects.filter(pk=target.pk).update(
        is_active=False
    )
    shop.send()
    assert receiver.received == []
    assert shop.states(target) == ["DROPPED"] * 3


@pytest.mark.parametrize(("count", "segments"), [(1, 1), (40, 1), (1, 40)])
def test_the_number_of_statements_does_not_depend_on_the_number_of_events(
    shop: Webhooks, receiver: Receiver, django_assert_num_queries, monkeypatch, count, segments
):
    for name in ("SLICE", "WAIT", "BATCH_TIME"):  # a pause of the machine would start another round
        monkeypatch.setattr(delivering, name, PATIENCE)
    monkeypatch.setattr(delivering, "BATCHES_OF_TARGET", 1)
    target = shop.target(receiver.url)
    for number in range(segments):
        shop.happen(target, count=count, order_key=f"segment {number}")
    with django_assert_num_queries(15):
        shop.send()
    assert shop.states(target) == ["DELIVERED"] * (count * segments)
    assert not Lane.objects.exclude(due_at=None, leased_until=None).exists()


def test_a_batch_of_many_segments_ends_with_the_first_event_that_does_not_arrive(
    shop: Webhooks, receiver: Receiver, monkeypatch
):
    monkeypatch.setattr(delivering, "BATCHES_OF_TARGET", 1)
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 500)
    for number in range(10):
        shop.happen(target, order_key=f"segment {number}")
    [batch] = delivering.lease_batches(busy=Counter(), most=1, at=timezone.now())
    delivering.send_batch(batch, threading.Event())
    delivering.record([batch])
    assert len(receiver.received) == 1
    assert not Lane.objects.filter(leased_until__isnull=False).exists()
    assert Lane.objects.filter(due_at__lte=timezone.now()).count() == 9
    assert sum(Delivery.objects.values_list("attempts", flat=True)) == 1


def test_what_does_not_fit_into_a_batch_waits_for_another(shop: Webhooks, receiver: Receiver, monkeypatch):
    monkeypatch.setattr(delivering, "BATCHES_OF_TARGET", 1)
    monkeypatch.setattr(delivering, "BYTES_OF_BATCH", 2_000)
    target = shop.target(receiver.url)
    for number in range(5):
        shop.happen(target, count=2, order_key=f"segment {number}", payload={"text": "x" * 900})
    [batch] = delivering.lease_batches(busy=Counter(), most=1, at=timezone.now())
    assert (len(batch.lanes), len(batch.pending)) == (5, 3)
    delivering.record([batch])  # nothing of it was sent
    shop.send()
    assert shop.states(target) == ["DELIVERED"] * 10


def test_threads_are_shared_by_targets(shop: Webhooks):
    targets = [shop.target(f"https://example.com/{number}") for number in range(3)]
    for number in range(20):
        shop.happen(*targets, order_key=f"segment {number}")
    busy = Counter({targets[0].pk: delivering.BATCHES_OF_TARGET})
    leased = delivering.lease_batches(busy=busy, most=5, at=timezone.now())
    counts = Counter(batch.target_id for batch in leased)
    assert counts == {targets[1].pk: 2, targets[2].pk: 2}
    lanes = [lane for batch in leased for lane in batch.lanes]
    assert len(lanes) == len(set(lanes)) == 40
