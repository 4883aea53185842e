"""Configurations by the API: what is kept, what is refused, and what changes of parts do."""

import json
from datetime import timedelta

import pytest
from django.http import HttpResponse

from core.journal.models import Change
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from events.filters import check_filter, matches
from events.models import Target, WebhookConfig
from events.operations import configuration
from tests.conftest import Api

CONFIG = "/webhook/acme/config"
HTTP = f"{CONFIG}/http"
PLACE = "https://shop.example/webhook"
ENTRY = {"eventType": "coupon.created", "destinationUrl": f"{PLACE}/coupons"}


def config(*entries: JsonObject, **members: object) -> JsonObject:
    configuration = {"destinationUrl": PLACE, "eventsConfiguration": list(entries), **members}
    return {"provider": "HTTP", "configuration": configuration}


def make(api: Api, *entries: JsonObject, **members: object) -> list[str]:
    """Make the configuration and return the ids of its entries."""
    assert api.post(CONFIG, {"code": "http", **config(*entries, **members)}).status_code == 201
    return [entry["id"] for entry in read(api)["eventsConfiguration"]]


def read(api: Api) -> JsonObject:
    document: JsonObject = api.get(HTTP).json()["configuration"]
    return document


def details(response: HttpResponse) -> list[str]:
    assert response.status_code == 400, response.content
    found: list[str] = response.json()["details"]
    return found


def patch(api: Api, path: str, value: object = None, op: str = "UPSERT") -> HttpResponse:
    return api.patch(HTTP, [{"op": op, "path": f"/configuration/http/{path}", "value": value}])


def test_new_addresses_are_asked_once_and_stored_ones_never_again(webhooks, accessible):
    make(webhooks, ENTRY, {**ENTRY, "filter": "$[?(@.code == 'A')]"})
    assert sorted(accessible) == [PLACE, f"{PLACE}/coupons"]
    accessible.clear()
    assert webhooks.put(HTTP, config(ENTRY)).status_code == 204
    assert accessible == []


def test_nothing_is_stored_when_a_target_is_silent(webhooks, monkeypatch):
    monkeypatch.setattr(configuration, "is_accessible", lambda url: url == PLACE)
    [fault] = details(webhooks.post(CONFIG, {"code": "http", **config(ENTRY)}))
    assert fault.startswith("eventsConfiguration[0].destinationUrl: The resource specified by the URL is not")
    assert not WebhookConfig.objects.exists()
    assert not Target.objects.exists()


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"id": "0e7a"}, "eventsConfiguration[0].id: There is no entry with this id."),
        ({"destinationUrl": "http://shop.example/"}, "Webhooks are sent over https only."),
        ({"destinationUrl": "https://me:secret@shop.example/"}, "must not hold a user name or a password"),
        ({"destinationUrl": "ftp://shop.example/"}, "This is not a URL."),
        ({"filter": "$[?(@.code == 'A']"}, "This is not a JSONPath filter"),
        ({"filter": "$[?(@.code =~ /^(a+)+$/)]"}, "no regular expressions"),
        ({"filter": "$[?(@..code)]"}, "'..' is not supported"),
        ({"filter": "$[?(@.mixins['a','a']" + "['a','a']" * 40 + ")]"}, "A filter is one path"),
        ({"filter": f"$[?(@{'[*,*]' * 40} || @.a)]"}, "A filter is one path"),
        ({"filter": "$[?(@.a[?(@.b['c','c'])])]"}, "A filter is one path"),
        ({"filter": "$[0,0][*,*]"}, "A filter is one path"),
        ({"filter": "$[?(@[?($[*][*][?($[*])])])]"}, "A filter is one path"),
        ({"filter": "$" + "[*, *]" * 28 + "[?(@.x == 1)]"}, "A filter is one path"),
        ({"filter": "$[?$[0].mixins.*[?$[0].mixins.*]]"}, "A filter is one path"),
        ({"filter": "$[?(@['a', 'a']['b', 'b'])]"}, "A filter is one path"),
        ({"filter": "$[*] & $[*]"}, "A filter is one path"),
        ({"headers": {"Host": {"value": "a"}}}, "The header Host is set by the service."),
        ({"headers": {"webhook-id": {"value": "a"}}}, "The header webhook-id is set by the service."),
        ({"headers": {"X-A": {"value": "a\r\nX-B: b"}}}, "characters that headers cannot have"),
        ({"headers": {"X A": {"value": "a"}}}, "'X A' is no name of a header."),
        ({"headers": {f"X-{n}": {"value": "a"} for n in range(11)}}, "headers"),
        ({"name": "n" * 256}, "name"),
        ({"excludedFields": [" "]}, "excludedFields"),
    ],
)
def test_a_faulty_entry_is_refused_with_the_reason(webhooks, accessible, entry, fault):
    make(webhooks)
    found = details(webhooks.put(HTTP, config({**ENTRY, **entry})))
    assert any(fault in text for text in found), found
    assert read(webhooks)["eventsConfiguration"] == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$[?(@.status == 'ACTIVE' && @.amount > 5)]", True),
        ("$[?(@.status in ['NEW', 'ACTIVE'])]", True),
        ("$[?(!@.gone && (@.code == 'B' || @['code'] == 'A'))]", True),
        ("$[?(@.lines[?(@.amount > 3)])]", True),
        ("$[?(@.lines[0].amount > 3)]", False),
    ],
)
def test_plain_filters_are_accepted_and_select(expression, expected):
    check_filter(expression)
    payload = {"status": "ACTIVE", "amount": 6, "code": "A", "lines": [{"amount": 3}, {"amount": 4}]}
    assert matches(expression, payload) is expected


def test_an_entry_needs_an_address_of_its_own_or_of_the_configuration(webhooks, accessible):
    entry = {"eventType": "coupon.created"}
    body = {"code": "http", "provider": "HTTP", "configuration": {"eventsConfiguration": [entry]}}
    assert details(webhooks.post(CONFIG, body)) == [
        "eventsConfiguration[0].destinationUrl: Name where to send events, here or in the configuration."
    ]


def test_ids_are_given_by_the_service(webhooks, accessible):
    sent = {"code": "http", **config({**ENTRY, "id": "mine"})}
    assert webhooks.post(CONFIG, sent).status_code == 400
    [made] = make(webhooks, ENTRY)
    assert patch(webhooks, "eventsConfigurationEntry", {**ENTRY, "id": "mine"}).status_code == 400
    assert [entry["id"] for entry in read(webhooks)["eventsConfiguration"]] == [made]


def test_an_update_without_ids_keeps_the_only_entry_of_its_type_and_its_secret(webhooks, accessible, tenant):
    [made] = make(webhooks, {**ENTRY, "secretKey": "first"})
    assert webhooks.put(HTTP, config({**ENTRY, "eventType": "COUPON.CREATED"})).status_code == 204
    [entry] = read(webhooks)["eventsConfiguration"]
    assert (entry["id"], entry["eventType"], entry["secretKeyExists"]) == (made, "COUPON.CREATED", True)
    assert Target.objects.get(tenant=tenant, external_id=made).secret_key == "first"


def test_several_entries_of_a_type_are_told_apart_by_id(webhooks, accessible):
    first, second = make(webhooks, ENTRY, {**ENTRY, "name": "second"})
    renamed = {**ENTRY, "id": second, "name": "renamed"}
    assert webhooks.put(HTTP, config(renamed, ENTRY)).status_code == 204
    kept, fresh = read(webhooks)["eventsConfiguration"]
    assert (kept["id"], kept["name"]) == (second, "renamed")
    assert fresh["id"] not in (first, second)
    assert patch(webhooks, "eventsConfiguration/coupon.created", op="REMOVE").status_code == 409
    [fault] = details(webhooks.put(HTTP, config(renamed, renamed)))[:1]
    assert "Two entries have the same id." in fault


def test_secrets_are_never_read(webhooks, accessible):
    make(webhooks, {**ENTRY, "secretKey": "hidden-one"}, secretKey="hidden-two")
    for path in (CONFIG, HTTP):
        assert "hidden" not in webhooks.get(path).content.decode()


def test_a_replaced_secret_signs_along_for_a_day(webhooks, accessible, now, tenant):
    make(webhooks, secretKey="first")
    assert patch(webhooks, "secretKey", "second").status_code == 204
    target = Target.objects.get(tenant=tenant)
    assert (target.secret_key, target.previous_secret_key) == ("second", "first")
    assert target.previous_secret_until == now + timedelta(hours=24)
    assert patch(webhooks, "secretKey", op="REMOVE").status_code == 204
    target.refresh_from_db()
    assert (target.secret_key, target.previous_secret_key) == ("", "")


def test_fields_of_an_entry_are_changed_one_by_one(webhooks, accessible):
    [made] = make(webhooks, {**ENTRY, "name": "shop", "secretKey": "s"})
    changes = {
        "filter": "$[?(@.code == 'A')]",
        "excludedFields": ["metadata"],
        "headers": {"X-A": {"value": "a"}},
        "active": False,
    }
    for member, value in changes.items():
        assert patch(webhooks, f"eventsConfigurationEntry/{made}/{member}", value).status_code == 204
    assert patch(webhooks, f"eventsConfigurationEntry/{made}/name", op="REMOVE").status_code == 204
    [entry] = read(webhooks)["eventsConfiguration"]
    assert entry == {**ENTRY, **changes, "id": made, "secretKeyExists": True}
    assert patch(webhooks, f"eventsConfigurationEntry/{made}/active", op="REMOVE").status_code == 400
    assert patch(webhooks, "eventsConfigurationEntry/unknown/name", "a").status_code == 400
    assert patch(webhooks, "eventsConfiguration", [{**ENTRY, "id": [1]}]).status_code == 400
    assert patch(webhooks, "eventsConfigurationEntry", op="REMOVE").status_code == 400


def test_changes_are_made_together_or_not_at_all(webhooks, accessible):
    make(webhooks)
    changes = [
        {"op": "UPSERT", "path": "/configuration/http/eventsConfigurationEntry", "value": ENTRY},
        {"op": "UPSERT", "path": "/configuration/nowhere", "value": 1},
    ]
    [fault] = details(webhooks.patch(HTTP, changes))
    assert fault == ("[1].path: The path /configuration/nowhere does not name anything that can be changed.")
    assert read(webhooks)["eventsConfiguration"] == []


def test_an_active_configuration_is_deleted_by_force_only(webhooks, accessible):
    make(webhooks, ENTRY)
    assert webhooks.delete(HTTP).status_code == 400
    assert webhooks.delete(HTTP, force="true").status_code == 204
    assert webhooks.delete(HTTP).status_code == 204
    assert webhooks.get(HTTP).status_code == 404
    assert not Target.objects.exists()


def test_configurations_of_tenants_are_apart(webhooks, accessible, service_api, other_tenant: Tenant):
    make(webhooks, ENTRY)
    other = service_api("webhook.subscription_manage", tenant=other_tenant)
    assert other.get("/webhook/globex/config").json() == []
    assert other.delete("/webhook/globex/config/http", force="true").status_code == 204
    assert len(read(webhooks)["eventsConfiguration"]) == 1


def test_what_is_configured_is_in_the_journal_without_secrets(webhooks, accessible):
    make(webhooks, secretKey="hidden", headers={"Authorization": {"value": "Bearer hidden"}})
    changes = {change.object: change for change in Change.objects.filter(object__startswith="webhook-")}
    assert {change.actor_type for change in changes.values()} == {"client"}
    assert changes["webhook-config"].after == {
        "is_active": True,
        "created_at": changes["webhook-config"].after["created_at"],
        "modified_at": changes["webhook-config"].after["modified_at"],
    }
    target = changes["webhook-target"]
    assert target.after["destination_url"] == PLACE
    assert "hidden" not in json.dumps(target.after)
    assert set(target.hidden) == {"secret_key", "headers"}
