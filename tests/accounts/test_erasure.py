"""Erasure of a customer: no trace is left, and what must hold still holds."""

import os
import re
import subprocess
from datetime import datetime
from io import StringIO
from pathlib import Path

import orjson
import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.identity.models import LegacyPassword, Session
from accounts.models import ContactAssignment, Customer, Erasure, Site
from accounts.operations.erasure import erase_customer, personal_data_of
from config.server.embedded_postgres.places import binaries_folder
from core.actors import Actor, ActorType, acting_as
from core.background.models import Job
from core.imports.models import ImportChange, ImportPart, ImportReject, ImportRun
from core.json_types import JsonObject
from core.personal_data.pseudonyms import pseudonym_of
from core.tenancy.models import Tenant
from coupons.models import Coupon, Redemption
from segments.models import CustomerAssignment, Rule, RuleExclusion, Segment
from tests.core.imports.conftest import run_command
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    SessionFactory,
    UserFactory,
)
from tests.factories.coupons import CouponFactory, RedemptionFactory, ReservationFactory
from tests.factories.events import DeliveryFactory, EventFactory, TargetFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

NUMBER, EMAIL, PHONE = "K-77123", "Zoe.Quistgaard@example.com", "+45 20 77 31 90"
FIRST, LAST = "Zoëlia", 'Quist"gaard'
URL = f"/customer/acme/customers/{NUMBER}"
MANAGE = "customer.customer_manage"
REDEEM = "coupon.coupon_redeem_on_behalf"
ORDER = {"orderTotal": {"amount": 50, "currency": "EUR"}, "discount": {"amount": 5, "currency": "EUR"}}


def make_customer(tenant: Tenant, site: Site, now: datetime) -> Customer:
    """Make a customer who has left traces in every table that can have them."""
    customer = CustomerFactory(
        tenant=tenant,
        external_id=NUMBER,
        email=EMAIL,
        contact_phone=PHONE,
        first_name=FIRST,
        last_name=LAST,
        mixins={"profile": {"nickname": FIRST}},
    )
    ContactAssignmentFactory(customer=customer, legal_entity__tenant=tenant, external_id=f"contact-{NUMBER}")
    CustomerAssignmentFactory(
        segment=SegmentFactory(site=site, external_id="gold"), customer=customer, mixins={"note": LAST}
    )
    SessionFactory(client__tenant=tenant, customer=customer, context={"siteCode": "main", "note": EMAIL})
    LegacyPassword.objects.create(tenant=tenant, customer=customer, algorithm="phpass", hash="x" * 30)
    once = CouponFactory(
        tenant=tenant,
        code="ONCE",
        max_redemptions_per_customer=1,
        valid_for=["other", NUMBER],
        redemption_count=1,
    )
    RedemptionFactory(
        coupon=once,
        customer=customer,
        customer_number=NUMBER,
        order_code="A-1",
        idempotency_key=f"{NUMBER}-A-1",
        redeemed_at=now,
    )
    ReservationFactory(
        coupon=once, customer_number=NUMBER, order_code=f"A-{NUMBER}", items=[["P1", "90", "1"]]
    )
    CouponFactory(tenant=tenant, code="FRIEND", is_referral=True, issued_to=NUMBER)
    run = ImportRun.objects.create(
        tenant=tenant,
        kind="customers",
        mode="upsert",
        started_by="ops",
        started_at=now,
        message=f"no {EMAIL}",
    )
    for source in (
        f'{NUMBER},"Quist""gaard"',
        orjson.dumps({"contactEmail": EMAIL}).decode(),
        '{"firstName": "Zo\\u00eblia"}',
        f"x,{PHONE}",
    ):
        ImportReject.objects.create(run=run, line=1, reason="faulty", message="It is faulty.", source=source)
    ImportReject.objects.create(run=run, line=2, reason="faulty", message=f"There is no customer {NUMBER}.")
    ImportReject.objects.create(run=run, line=3, reason="faulty", message="Other.", source=f"{NUMBER}9,other")
    ImportChange.objects.create(run=run, row_id=1, version=2, before={"customer_id": customer.pk, "n": 1})
    ImportChange.objects.create(run=run, row_id=2, version=2, before={"customer_id": customer.pk + 1})
    Job.objects.create(tenant=tenant, kind="count", result={"kept": [NUMBER]}, error=f"no {LAST}")
    staff = UserFactory(tenant=tenant, username="staff")
    for obj in (customer, CustomerAssignment.objects.get()):
        LogEntry.objects.create(
            user=staff,
            content_type=get_content_type_for_model(obj),
            object_id=str(obj.pk),
            object_repr=str(obj)[:200],
            action_flag=CHANGE,
            change_message=f'[{{"changed": {{"name": "{FIRST}"}}}}]',
        )
    return customer


def leave_traces_on_the_way(customer: Customer, now: datetime) -> None:
    """Leave traces in what is about to be read or sent: events, deliveries, parts of imports, rules."""
    tenant = customer.tenant
    target = TargetFactory(tenant=tenant)
    for payload in (
        {"customerNumber": NUMBER, "orderCode": f"A-{NUMBER}", "tenant": "acme"},
        {"customer": {"id": NUMBER, "firstName": FIRST, "email": EMAIL}, "mixins": {"note": LAST}},
    ):
        event = EventFactory(tenant=tenant, payload=payload, customer_number=NUMBER, occurred_at=now)
        DeliveryFactory(
            event=event, target=target, last_answer=f"no {EMAIL}", last_error=f"{PHONE} is unknown"
        )
    run = ImportRun.objects.create(
        tenant=tenant, kind="customers", mode="upsert", started_by="ops", started_at=now
    )
    rows = [[1, {"contactEmail": EMAIL, "lastName": LAST, "firstName": FIRST, "contactPhone": PHONE}]]
    ImportPart.objects.create(run=run, number=1, count=1, rows=rows)
    gold = Segment.objects.get(tenant=tenant, external_id="gold")
    Rule.objects.create(tenant=tenant, segment=gold, q="onHold:false", watched=["customer.is_on_hold"])
    with acting_as(Actor(ActorType.CUSTOMER, NUMBER, f"{FIRST} {LAST}")):  # each of these is in the journal
        RuleExclusion.objects.create(
            tenant=tenant, segment=gold, customer=customer, actor_type="staff", actor_id="ops"
        )
        Redemption.objects.filter(customer=customer).update(order_code=f"B-{NUMBER}")
        Coupon.objects.filter(issued_to=NUMBER).update(name="Friends")
        Customer.objects.filter(pk=customer.pk).update(is_on_hold=True)


@pytest.fixture
def customer(tenant, site, now) -> Customer:
    return make_customer(tenant, site, now)


def dump() -> str:
    parameters = connection.get_connection_params()
    done = subprocess.run(
        [
            str(binaries_folder(account=None) / "pg_dump"),
            *("--host", parameters["host"], "--port", str(parameters.get("port") or 5432)),
            *("--username", parameters["user"], "--data-only", connection.settings_dict["NAME"]),
        ],
        env={**os.environ, "PGPASSWORD": parameters.get("password") or ""},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


@pytest.mark.django_db(transaction=True)
def test_no_trace_is_left_in_a_dump_of_the_database(tenant, site, now):
    leave_traces_on_the_way(make_customer(tenant, site, now), now)
    assert found_in(dump(), TRACES) == TRACES
    erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)
    assert found_in(dump(), TRACES) == []


TRACES = [NUMBER + "\\b", EMAIL, r"\+45 20 77 31 90", "Zoëlia", "Zo.{1,3}u00eblia", "quist.{1,4}gaard"]


def found_in(text: str, patterns: list[str]) -> list[str]:
    return [pattern for pattern in patterns if re.search(pattern, text, re.I)]


@pytest.mark.django_db
def test_the_record_says_who_erased_what_and_nothing_of_the_customer(customer, now):
    tenant = customer.tenant
    erasure = erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)
    assert erasure.counts == {
        "adminLogEntries": 2,
        "changes": 13,
        "contactAssignments": 1,
        "coupons": 2,
        "customers": 1,
        "importChanges": 1,
        "importMessages": 1,
        "importRejects": 5,
        "jobs": 1,
        "legacyPasswords": 1,
        "redemptions": 1,
        "reservations": 1,
        "segmentAssignments": 1,
        "sessions": 1,
    }
    assert (erasure.erased_at, erasure.requested_by) == (now, "test")
    assert erasure.pseudonym == pseudonym_of(tenant.pk, NUMBER)
    assert not Customer.objects.exists()
    assert not ContactAssignment.objects.exists()
    redemption = Redemption.objects.get()
    assert (redemption.customer_id, redemption.customer_number) == (None, erasure.pseudonym)
    assert (redemption.order_code, redemption.idempotency_key) == ("A-1", "")
    assert Coupon.objects.get(code="ONCE").valid_for == ["other", erasure.pseudonym]
    assert Coupon.objects.get(code="FRIEND").issued_to == erasure.pseudonym
    assert ImportReject.objects.get(line=3).source == f"{NUMBER}9,other"


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_statements_does_not_depend_on_what_is_held(
    tenant, customer, now, count, django_assert_num_queries
):
    coupon = CouponFactory(tenant=tenant)
    RedemptionFactory.create_batch(count, coupon=coupon, customer=customer, customer_number=NUMBER)
    with django_assert_num_queries(32):
        erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)


@pytest.mark.django_db
def test_another_customer_and_another_tenant_keep_everything(tenant, customer, other_tenant, now):
    twin = CustomerFactory(tenant=other_tenant, external_id=NUMBER, email=EMAIL)
    RedemptionFactory(coupon=CouponFactory(tenant=other_tenant), customer=twin, customer_number=NUMBER)
    run = ImportRun.objects.create(tenant=other_tenant, kind="customers", mode="upsert", started_by="ops")
    ImportReject.objects.create(run=run, line=1, reason="faulty", message=NUMBER, source=EMAIL)
    neighbour = CustomerFactory(tenant=tenant, external_id="K-7712", email="other@example.com")
    RedemptionFactory(coupon=CouponFactory(tenant=tenant), customer=neighbour, customer_number="K-7712")
    erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)
    assert set(Customer.objects.all()) == {twin, neighbour}
    assert Redemption.objects.get(tenant=other_tenant).customer_number == NUMBER
    assert Redemption.objects.get(customer=neighbour).customer_number == "K-7712"
    assert ImportReject.objects.get(run=run).source == EMAIL
    assert pseudonym_of(tenant.pk, NUMBER) != pseudonym_of(other_tenant.pk, NUMBER)


@pytest.mark.django_db
def test_limits_still_hold_for_a_number_that_comes_again(tenant, customer, service_api, now):
    Coupon.objects.filter(code="ONCE").update(valid_for=[])
    erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)
    CustomerFactory(tenant=tenant, external_id=NUMBER)
    redeem = service_api(REDEEM).post(
        "/coupon/acme/coupons/ONCE/redemptions", {"customerNumber": NUMBER, **ORDER}
    )
    assert redeem.status_code == 400
    assert Coupon.objects.get(code="ONCE").redemption_count == Redemption.objects.count() == 1
    CustomerFactory(tenant=tenant, external_id="K-1")
    redeem = service_api(REDEEM).post(
        "/coupon/acme/coupons/ONCE/redemptions", {"customerNumber": "K-1", **ORDER}
    )
    assert redeem.status_code == 201


@pytest.mark.django_db
def test_the_api_erases_and_ends_sessions(customer, service_api, customer_api):
    theirs = customer_api(customer)
    assert theirs.get("/customer/acme/me").status_code == 200
    api = service_api(MANAGE)
    assert api.delete(URL, dataErasure="perhaps").status_code == 400
    assert api.delete(URL, dataErasure="true").status_code == 202
    erasure = Erasure.objects.get()
    assert erasure.requested_by == "API client test-client-acme"
    assert not Session.objects.filter(customer__isnull=False).exists()
    assert api.delete(URL, dataErasure="true").status_code == 404


@pytest.mark.django_db
def test_a_deletion_without_erasure_keeps_the_number_of_redemptions(customer, service_api):
    assert service_api(MANAGE).delete(URL, dataErasure="false").status_code == 202
    assert Redemption.objects.get().customer_number == NUMBER
    assert not Erasure.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_no_trace_is_left_of_a_customer_who_was_deleted_before(tenant, customer, now, service_api):
    assert service_api(MANAGE).delete(URL).status_code == 202
    assert EMAIL in dump()  # in the history
    assert service_api(MANAGE).delete(URL, dataErasure="true").status_code == 202
    assert Redemption.objects.get().customer_number == Erasure.objects.get().pseudonym
    assert found_in(dump(), TRACES) == []
    assert service_api(MANAGE).delete(URL, dataErasure="true").status_code == 404


@pytest.mark.django_db
def test_the_command_finds_a_deleted_customer_by_email(customer, service_api, monkeypatch):
    assert service_api(MANAGE).delete(URL).status_code == 202
    assert run("erase_customer", "acme", EMAIL, "--yes").startswith("Erased; the pseudonym is erased-")
    with pytest.raises(CommandError, match="has no customer .* nor had one"):
        run("erase_customer", "acme", EMAIL, "--yes")


@pytest.mark.django_db
def test_customers_cannot_erase_themselves(customer, customer_api):
    assert customer_api(customer).delete(URL, dataErasure="true").status_code == 403
    assert Customer.objects.exists()


@pytest.mark.django_db
def test_everything_held_is_one_document(customer, service_api):
    response = service_api(MANAGE).get(f"{URL}/personal-data")
    assert response.status_code == 200
    held = response.json()
    assert {name: len(rows) for name, rows in held.items() if isinstance(rows, list)} == {
        "adminLog": 2,
        "events": 0,
        "changes": 4,
        "contactAssignments": 1,
        "coupons": 2,
        "importRejects": 5,
        "legacyPasswords": 1,
        "redemptions": 1,
        "reservations": 1,
        "segmentAssignments": 1,
        "sessions": 1,
    }
    assert held["customer"]["contactEmail"] == EMAIL
    assert held["customer"]["createdAt"] == "2026-03-04T09:30:15.250Z"
    assert held["customer"]["mixins"] == {"profile": {"nickname": FIRST}}
    assert held["segmentAssignments"][0]["segmentId"] == "gold"
    assert held["redemptions"][0]["code"] == "ONCE"
    assert "password" not in held["customer"]
    assert "x" * 30 not in response.content.decode()
    assert service_api(MANAGE).get("/customer/acme/customers/nobody/personal-data").status_code == 404


@pytest.mark.django_db
def test_the_export_takes_a_fixed_number_of_statements(tenant, customer, django_assert_num_queries):
    RedemptionFactory.create_batch(
        20, coupon=CouponFactory(tenant=tenant), customer=customer, customer_number=NUMBER
    )
    with django_assert_num_queries(13):
        held = personal_data_of(tenant_id=tenant.pk, external_id=NUMBER)
    assert len(held["redemptions"]) == 21


def run(name: str, *words: str) -> str:
    out = StringIO()
    call_command(name, *words, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_asks_first(customer, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: "no")
    with pytest.raises(CommandError, match="Nothing was erased"):
        run("erase_customer", "acme", NUMBER)
    monkeypatch.setattr("builtins.input", lambda question: NUMBER)
    assert run("erase_customer", "acme", EMAIL.upper()).startswith("Erased; the pseudonym is erased-")
    assert Erasure.objects.get().requested_by.startswith("erase_customer by ")


@pytest.mark.django_db
def test_the_command_exports(customer):
    held = orjson.loads(run("export_customer_data", "acme", NUMBER))
    assert held["customer"]["id"] == NUMBER
    for command in ("export_customer_data", "erase_customer"):
        with pytest.raises(CommandError, match="The tenant acme has no customer nobody"):
            run(command, "acme", "nobody")


def import_row(
    tmp_path: Path, *words: str, number: str = NUMBER, email: str = "new@example.com"
) -> JsonObject:
    path = tmp_path / "customers.jsonl"
    path.write_bytes(orjson.dumps({"id": number, "contactEmail": email, "firstName": FIRST}) + b"\n")
    answer = run_command("upsert_customers", path, "--tenant", "acme", "--json", *words)
    return {name: answer.json[name] for name in ("created", "changed", "refused") if answer.json[name]}


@pytest.mark.django_db
@pytest.mark.parametrize("row", [{"number": NUMBER}, {"number": "K-2", "email": EMAIL.upper()}])
def test_an_import_does_not_bring_back_who_was_erased(tenant, site, customer, now, tmp_path, row):
    erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)
    assert import_row(tmp_path, **row) == {"refused": 1}
    reject = ImportReject.objects.get(reason="erased")
    assert reject.source == ""
    assert reject.message == (
        "This number or e-mail belongs to a customer who has been erased."
        " Leave the row out, or say --allow-erased."
    )
    assert import_row(tmp_path, number="K-3") == {"created": 1}
    assert import_row(tmp_path, "--allow-erased", number=NUMBER, email=EMAIL) == {"created": 1}
    assert import_row(tmp_path, number=NUMBER, email=EMAIL) == {}


@pytest.mark.django_db
def test_a_customer_does_not_take_over_an_erased_email(tenant, site, customer, now, tmp_path):
    CustomerFactory(tenant=tenant, external_id="K-9", email="nine@example.com")
    erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)
    assert import_row(tmp_path, number="K-9", email=EMAIL) == {"refused": 1}


@pytest.mark.django_db
def test_the_import_of_the_api_does_not_bring_them_back_either(tenant, customer, service_api, now):
    erase_customer(tenant_id=tenant.pk, external_id=NUMBER, requested_by="test", at=now)
    entry = {"id": NUMBER, "account": {"email": "new@example.com", "passwordHash": make_password("secret")}}
    response = service_api("customer.import_manage").post("/customer/acme/customers/import", [entry])
    assert response.status_code == 207
    [result] = response.json()
    assert (result["code"], result["message"]) == (
        409,
        "This number or e-mail belongs to a customer who has been erased.",
    )
