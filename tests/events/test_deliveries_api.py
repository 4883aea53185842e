"""Deliveries by the API and in the admin: looked up, and sent again."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from core.journal.models import Change
from core.tenancy.models import Tenant
from events.background_tasks import delete_sendings
from events.models import Delivery, Event, Target
from tests.conftest import Api
from tests.events.receiver import Receiver
from tests.events.webhooks import Webhooks
from tests.factories.events import SubscriptionFactory

DELIVERIES = "/webhook/acme/deliveries"


@pytest.fixture
def sent(shop: Webhooks, receiver: Receiver) -> list[Event]:
    """Three events of which the target took the first and refuses the others."""
    target = shop.target(f"{receiver.url}/hook", external_id="shop", name="shop")
    events = shop.happen(target)
    shop.send()
    receiver.answer("/hook", 500)
    events += shop.happen(target, order_key="a") + shop.happen(target, order_key="b")
    shop.send()
    return events


@pytest.mark.parametrize("size", [1, 3])
def test_deliveries_are_listed_newest_first(webhooks: Api, sent, django_assert_num_queries, size):
    with django_assert_num_queries(1):
        found = webhooks.get(DELIVERIES, pageSize=str(size)).json()
    assert [one["eventId"] for one in found] == [event.external_id for event in reversed(sent)][:size]
    assert found[0]["state"] == "PENDING"
    assert (found[0]["lastStatus"], found[0]["lastError"]) == (500, "The target answered 500.")
    [only] = webhooks.get(DELIVERIES, state="DELIVERED", targetId="shop").json()
    assert only["eventId"] == sent[0].external_id
    assert webhooks.get(f"{DELIVERIES}/{only['id']}").json() == only
    assert webhooks.get(DELIVERIES, q="state:DELIVERED").json() == [only]
    assert webhooks.get(f"{DELIVERIES}/999999").status_code == 404
    assert webhooks.get(f"{DELIVERIES}/none").status_code == 404


def test_a_delivery_is_retried(webhooks: Api, sent, shop: Webhooks, receiver: Receiver):
    [delivered] = webhooks.get(DELIVERIES, state="DELIVERED").json()
    receiver.answer("/hook", 200)
    response = webhooks.post(f"{DELIVERIES}/{delivered['id']}/retry")
    assert (response.status_code, response.json()) == (202, {"deliveryId": delivered["id"]})
    shop.send()
    assert receiver.received[-1].event_id == sent[0].external_id
    assert webhooks.post(f"{DELIVERIES}/0/retry").status_code == 404


def test_events_are_replayed_since_an_instant(webhooks: Api, sent, shop: Webhooks, receiver: Receiver):
    SubscriptionFactory(tenant=shop.tenant)
    receiver.answer("/hook", 200)
    receiver.received.clear()
    since = (timezone.now() - timedelta(minutes=1)).isoformat()
    path = "/webhook/acme/targets/shop/replays"
    assert webhooks.post(path, {"since": since}).json() == {"queued": 3}
    shop.send()
    assert {one.event_id for one in receiver.received} == {event.external_id for event in sent}
    assert webhooks.post(path, {}).status_code == 400
    assert webhooks.post(path, {"since": "yesterday"}).status_code == 400
    assert webhooks.post("/webhook/acme/targets/none/replays", {"since": since}).status_code == 404


def test_a_test_event_is_sent(webhooks: Api, sent, shop: Webhooks, receiver: Receiver):
    receiver.answer("/hook", 200)
    queued = webhooks.post("/webhook/acme/targets/shop/test-events").json()
    shop.send()
    found = webhooks.get(f"{DELIVERIES}/{queued['deliveryId']}").json()
    assert (found["eventType"], found["state"]) == ("webhook.test", "DELIVERED")


def test_commands_send_again_and_name_what_there_is(sent, tenant: Tenant, capsys):
    SubscriptionFactory(tenant=tenant)
    since = (timezone.now() - timedelta(minutes=1)).isoformat()
    call_command("replay_deliveries", "shop", tenant="acme", since=since)
    assert capsys.readouterr().out == "3 events are sent again.\n"
    with pytest.raises(CommandError, match=r"There is no target none.*shop \(shop\)"):
        call_command("replay_deliveries", "none", tenant="acme", since=since)
    with pytest.raises(CommandError, match="Is a background worker running"):
        call_command("send_test_event", "shop", tenant="acme", wait=0)


@pytest.fixture
def console(admin_client: Client) -> Client:
    return admin_client


def action(console: Client, page: str, name: str, key: object) -> str:
    url = reverse(f"admin:events_{page}_changelist")
    data = {"action": name, "_selected_action": [key]}
    return str(console.post(url, data, follow=True).content.decode())


def test_the_admin_sends_again_and_tests(console: Client, sent, shop: Webhooks, receiver: Receiver):
    receiver.answer("/hook", 200)
    delivery, target = Delivery.objects.order_by("pk").first(), Target.objects.get()
    assert "1 delivery is sent again." in action(console, "delivery", "retry", delivery.pk)
    assert "A test event is sent to 1 target." in action(console, "target", "send_test_event", target.pk)
    receiver.received.clear()
    shop.send()
    assert len(receiver.received) >= 2
    Delivery.objects.update(state="FAILED")
    assert "4 deliveries are sent again." in action(console, "target", "send_failed_again", target.pk)


def test_the_admin_replays_what_happened_since_an_instant(
    console: Client, staff_browser: Client, sent, tenant: Tenant
):
    SubscriptionFactory(tenant=tenant)
    target = Target.objects.get()
    page = reverse("admin:events_target_replay", args=[target.pk])
    assert page in console.get(reverse("admin:events_target_change", args=[target.pk])).content.decode()
    assert "This field is required." in console.post(page, {}).content.decode()
    tomorrow = {"since_0": f"{timezone.now() + timedelta(days=1):%Y-%m-%d}", "since_1": "00:00"}
    assert "0 events are sent again." in console.post(page, tomorrow, follow=True).content.decode()
    yesterday = {"since_0": f"{timezone.now() - timedelta(days=1):%Y-%m-%d}", "since_1": "00:00"}
    done = console.post(page, yesterday, follow=True)
    assert done.redirect_chain == [
        (f"{reverse('admin:events_delivery_changelist')}?target__id__exact={target.pk}", 302)
    ]
    assert "3 events are sent again." in done.content.decode()
    assert Delivery.objects.filter(state="PENDING").count() == 3
    assert staff_browser.get(page).status_code == 200
    User.objects.get(username="staff").user_permissions.set(Permission.objects.filter(codename="view_target"))
    assert staff_browser.get(page).status_code == 403


def test_the_admin_adds_targets_under_the_rules_of_the_api(console: Client, tenant, accessible):
    url = reverse("admin:events_target_add") + f"?tenant={tenant.pk}"
    entries = {
        "event_type": "coupon.created",
        "name": "Shop",
        "destination_url": "http://shop.example/",
        "new_secret": "s3cr3t-word",
        "is_active": "on",
        "filter": "",
        "excluded_fields": "",
        "headers": "{}",
        "_tenant": str(tenant.pk),
    }
    refused = console.post(url, entries)
    assert "Webhooks are sent over https only." in refused.content.decode()
    saved = console.post(url, {**entries, "destination_url": "https://shop.example/"})
    assert saved.status_code == 302, saved.content
    target = Target.objects.get()
    assert (target.secret_key, target.event_type) == ("s3cr3t-word", "coupon.created")
    assert accessible == ["https://shop.example/"]
    page = console.get(reverse("admin:events_target_change", args=[target.pk])).content.decode()
    assert "s3cr3t-word" not in page


def test_what_is_sent_by_hand_has_a_line(webhooks: Api, console: Client, sent, tenant: Tenant):
    SubscriptionFactory(tenant=tenant)
    delivery = Delivery.objects.order_by("pk").first()
    target = Target.objects.get()
    webhooks.post(f"{DELIVERIES}/{delivery.pk}/retry")
    Delivery.objects.update(state="FAILED")
    action(console, "target", "send_failed_again", target.pk)
    since = timezone.now() - timedelta(minutes=1)
    webhooks.post("/webhook/acme/targets/shop/replays", {"since": since.isoformat()})
    webhooks.post("/webhook/acme/targets/shop/test-events")
    rows = Change.objects.filter(object="webhook-sending").order_by("id")
    assert [
        (row.kind, row.external_id, row.owner_key, row.actor_type, row.after["kind"], row.after["count"])
        for row in rows
    ] == [
        ("created", "shop", target.pk, "client", "AGAIN", 1),
        ("created", "shop", target.pk, "staff", "AGAIN", 3),
        ("created", "shop", target.pk, "client", "REPLAY", 3),
        ("created", "shop", target.pk, "client", "TEST", 1),
    ]
    for language, lines in {
        "en": [
            "sent 1 delivery again",
            "sent 3 deliveries again",
            "sent 3 events since ",
            "sent a test event",
        ],
        "de": ["1 Zustellung erneut gesendet", "3 Zustellungen erneut", "3 Ereignisse seit ", "Testereignis"],
    }.items():
        page = console.get(
            reverse("admin:journal_change_changelist"), headers={"Accept-Language": language}
        ).content.decode()
        assert [line for line in lines if line not in page] == []


def test_the_record_of_what_was_sent_by_hand_is_deleted_and_stays_in_the_history(
    webhooks: Api, sent, tenant: Tenant
):
    webhooks.post("/webhook/acme/targets/shop/test-events")
    assert delete_sendings(timezone.now() - timedelta(days=1), 10) == 0
    assert delete_sendings(timezone.now() + timedelta(days=1), 10) == 1
    assert Change.objects.filter(object="webhook-sending").count() == 1
