"""What the erasure of a customer takes out of the journal, and what it leaves."""

import orjson
import pytest
from django.db import connection

from accounts.models import Customer
from accounts.operations.customers import create_customer
from accounts.operations.erasure import erase_customer, personal_data_of
from core.actors import Actor, ActorType, acting_as
from core.journal.models import Change
from coupons.models import Coupon
from segments.models import CustomerAssignment
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import SegmentFactory

pytestmark = pytest.mark.django_db
SECRET = "Quistgaard"


@pytest.fixture
def customer(tenant, now) -> Customer:
    return create_customer(
        tenant_id=tenant.pk,
        external_id="K-77",
        values={"email": "q@example.com", "last_name": SECRET},
        at=now,
    )


def erase(customer: Customer, now) -> str:
    return erase_customer(
        tenant_id=customer.tenant_id, external_id=customer.external_id, requested_by="test", at=now
    ).pseudonym


def journal() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(change::text, ' ') FROM journal_change AS change")
        return cursor.fetchone()[0]


def test_the_customers_documents_are_emptied_and_their_changes_stay(customer, now):
    Customer.objects.update(last_name=f"{SECRET}-Olsen", version=2)
    ContactAssignmentFactory(customer=customer, legal_entity__tenant=customer.tenant, mixins={"note": SECRET})
    count = Change.objects.filter(object="customer").count()
    pseudonym = erase(customer, now)
    assert SECRET not in journal()
    assert "K-77" not in journal()
    rows = Change.objects.filter(object="customer")
    assert rows.count() == count + 1
    assert set(rows.values_list("external_id", flat=True)) == {pseudonym}
    assert set(Change.objects.filter(object="contact-assignment").values_list("kind", flat=True)) == {
        "created",
        "deleted",
    }


def test_attributes_of_others_in_the_same_statement_are_kept(customer, site, now):
    segment = SegmentFactory(site=site)
    neighbours = CustomerFactory.create_batch(2, tenant=customer.tenant)
    CustomerAssignment.objects.bulk_create(
        CustomerAssignment(tenant=customer.tenant, segment=segment, customer=one, mixins={"note": "same"})
        for one in (*neighbours, customer)
    )
    CustomerAssignment.objects.filter(segment=segment).delete()
    erase(customer, now)
    [change] = Change.objects.filter(object="segment-customer", kind="deleted")
    kept = [(group["keys"], "mixins" in group) for group in change.before]
    own = f"{{[{customer.pk},{customer.pk + 1})}}"
    assert sorted(has for _, has in kept) == [False, True]
    assert dict(kept)[own] is False
    [others] = [keys for keys, has in kept if has]
    assert str(customer.pk) not in others.replace("{", "").split(",")
    assert change.count == 3


def test_numbers_in_coupons_and_of_actors_give_way_to_the_pseudonym(customer, now):
    with acting_as(Actor(ActorType.CUSTOMER, "K-77", SECRET)):
        coupon = CouponFactory(tenant=customer.tenant, valid_for=["other", "K-77"])
    Coupon.objects.filter(pk=coupon.pk).update(valid_for=["other"])
    pseudonym = erase(customer, now)
    created, updated = Change.objects.filter(object="coupon").order_by("id")
    assert created.after["valid_for"] == ["other", pseudonym]
    assert (created.actor_id, created.actor_name) == (pseudonym, "")
    assert (updated.before, updated.after) == ({"valid_for": ["other", pseudonym]}, {"valid_for": ["other"]})
    assert "K-77" not in journal()


def test_the_export_tells_what_the_journal_says(customer, now):
    Customer.objects.update(last_name="Olsen", version=2)
    held = personal_data_of(tenant_id=customer.tenant_id, external_id="K-77")
    created, updated = held["changes"]
    assert created["after"]["last_name"] == SECRET
    assert (updated["before"]["last_name"], updated["after"]["last_name"]) == (SECRET, "Olsen")
    assert orjson.dumps(held)


def test_the_export_tells_what_the_customer_redeemed_a_moment_ago(customer):
    """Its change has no copy of the redemption yet."""
    RedemptionFactory(coupon=CouponFactory(tenant=customer.tenant), order_code="A-1")
    Change.objects.filter(object="redemption").update(actor_type="customer", actor_id=customer.external_id)
    held = personal_data_of(tenant_id=customer.tenant_id, external_id=customer.external_id)
    assert [one["after"]["order_code"] for one in held["changes"] if one["object"] == "redemption"] == ["A-1"]
