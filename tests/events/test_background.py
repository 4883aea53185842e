"""What the worker does for webhooks besides sending, and what it shows of it."""

from datetime import timedelta

from accounts.operations.erasure import erase_customer
from core.background.lag import background_lag
from core.background.models import TaskState
from core.background.tasks import registered_tasks
from core.background.worker import BackgroundWorker
from events import delivering
from events.background_tasks import delete_events, delete_lanes
from events.delivering import due_since
from events.models import Delivery, Event, Lane
from tests.events.receiver import Receiver
from tests.events.webhooks import Webhooks
from tests.factories.accounts import CustomerFactory


def test_the_lag_is_that_of_the_oldest_event_that_could_be_sent(shop: Webhooks, receiver: Receiver, clock):
    BackgroundWorker().prepare()
    TaskState.objects.exclude(name="send events").delete()
    assert due_since() is None
    begin = clock.at
    target = shop.target(f"{receiver.url}/hook")
    shop.happen(target)
    clock.advance(timedelta(minutes=3))
    assert background_lag(clock.at).oldest_due == begin
    receiver.answer("/hook", 429, Retry_After="600")
    shop.send()
    clock.advance(timedelta(minutes=5))
    assert background_lag(clock.at).oldest_due is None  # the target wants no request yet
    assert "send events" in registered_tasks()


def test_a_worker_that_ends_records_what_it_has_sent(shop: Webhooks, receiver: Receiver, monkeypatch):
    monkeypatch.setattr(delivering, "WAIT", 0.01)
    release = receiver.hold("/hook")
    target = shop.target(f"{receiver.url}/hook")
    shop.happen(target, count=3)
    shop.dispatcher.run(Event.objects.first().occurred_at)
    assert shop.states(target) == ["PENDING"] * 3
    release.set()
    shop.dispatcher.finish()
    states = shop.states(target)
    assert states.count("DELIVERED") == len(receiver.received) >= 1
    assert Lane.objects.get().leased_until is None
    shop.send()
    assert shop.states(target) == ["DELIVERED"] * 3


def test_old_events_are_deleted_unless_they_wait(shop: Webhooks, receiver: Receiver, clock):
    target = shop.target(f"{receiver.url}/hook")
    sent = shop.happen(target)
    shop.send()
    receiver.answer("/hook", 500)
    waiting = shop.happen(target)
    shop.send()
    clock.advance(timedelta(days=1))
    fresh = shop.happen(target)
    assert delete_events(clock.at - timedelta(hours=1), 100) == 1
    assert set(Event.objects.all()) == {*waiting, *fresh}
    assert not Delivery.objects.filter(event__in=sent).exists()
    assert delete_lanes(clock.at, 100) == 0


def test_empty_lanes_are_deleted_and_made_again(shop: Webhooks, receiver: Receiver, now):
    target = shop.target(receiver.url)
    shop.happen(target)
    shop.send()
    assert delete_lanes(now, 100) == 1
    shop.happen(target)
    shop.send()
    assert shop.states(target) == ["DELIVERED", "DELIVERED"]


def test_customers_who_were_erased_are_pseudonyms_in_what_is_still_to_be_sent(
    shop: Webhooks, receiver: Receiver, now
):
    customer = CustomerFactory(
        tenant=shop.tenant, external_id="C-1001", first_name="Ann", email="ann@shop.example"
    )
    target = shop.target(f"{receiver.url}/hook")
    receiver.answer("/hook", 500)
    payload = {
        "segmentId": "gold",
        "customer": {"id": "C-1001", "firstName": "Ann", "email": "ann@shop.example"},
    }
    shop.happen(
        target,
        type="customer-segment.customer-assignment-created",
        payload=payload,
        customer_number="C-1001",
    )
    shop.send()
    Delivery.objects.update(last_answer="no customer C-1001 here")
    erase_customer(tenant_id=shop.tenant.pk, external_id=customer.external_id, at=now, requested_by="test")
    receiver.answer("/hook", 200)
    Lane.objects.update(due_at=now)
    shop.send()
    sent = receiver.received[-1].payload
    assert sent["customer"].keys() == {"id"}
    assert sent["customer"]["id"].startswith("erased-")
    assert sent["segmentId"] == "gold"
    assert "C-1001" not in Delivery.objects.get().last_answer
