"""Personal data of a customer: erased for good, or exported as a whole."""

from collections import Counter
from datetime import datetime
from itertools import product

from django.db import transaction
from django.db.models import Q

from accounts.errors import CustomerErased
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import Customer, Erasure
from accounts.models.customers import canonical_email
from accounts.operations.documents import delete_row, locked_document
from core.errors import NotFound
from core.journal.models import Change
from core.personal_data.customers import (
    CustomerTrace,
    marks_of,
    registered_erasers,
    registered_exporters,
)
from core.personal_data.pseudonyms import keyed_hash, pseudonym_of

PERSONAL = ("external_id", "email", "contact_phone", "first_name", "middle_name", "last_name")
"""What a customer is known by, and mentioned as elsewhere."""


@transaction.atomic
def erase_customer(*, tenant_id: int, external_id: str, requested_by: str, at: datetime) -> Erasure:
    """Delete the customer and everything personal that is held of them; return the record of it.

    What has to stay (redemptions, restrictions of coupons) keeps a pseudonym, which is always the same for
    the same number, so that limits still hold. All of it is one transaction, of a number of statements that
    does not depend on how much is held. A customer that was deleted before is known by the journal, and so is
    each former one with the same number. Locks the coupons that know the customer, then the customer. Raises
    NotFound.
    """
    erasers = registered_erasers()
    for eraser in erasers:
        if eraser.lock:
            eraser.lock(tenant_id, external_id)
    customer = locked_document(Customer, tenant_id=tenant_id, external_id=external_id, for_deletion=True)
    former = former_customers(tenant_id, external_id=external_id)
    known = former if customer is None else [customer, *former]
    if not known:
        raise NotFound(resource_id=external_id)
    traces = [trace_of(one) for one in known]
    counts: Counter[str] = Counter()
    for trace, eraser in product(traces, erasers):
        if not eraser.is_last:
            counts.update(eraser.erase(trace))
    if customer is not None:
        delete_row(customer)
        counts["customers"] += 1
    for trace, eraser in product(traces, erasers):
        if eraser.is_last:
            counts.update(eraser.erase(trace))
    announce_revocation()
    return Erasure.objects.create(
        tenant_id=tenant_id,
        pseudonym=traces[0].pseudonym,
        number_hash=number_hash(tenant_id, external_id),
        email_hash=email_hash(tenant_id, known[0].email) if known[0].email else "",
        erased_at=at,
        requested_by=requested_by[:200],
        counts={name: count for name, count in sorted(counts.items()) if count},
    )


def former_customers(tenant_id: int, **columns: str) -> list[Customer]:
    """Return the deleted customers that the journal still holds under these values, newest first."""
    sought = {f"before__{name}": value for name, value in columns.items()}
    changes = Change.objects.filter(tenant=tenant_id, object="customer", kind="deleted", **sought)
    return [
        Customer(
            id=change.key,
            tenant_id=tenant_id,
            **{name: (change.before or {}).get(name) or "" for name in PERSONAL},
        )
        for change in changes.order_by("-id")
    ]


def personal_data_of(*, tenant_id: int, external_id: str) -> dict[str, object]:
    """Return everything that is held of the customer, ready for JSON. Raises NotFound."""
    customer = Customer.objects.for_tenant(tenant_id).filter(external_id=external_id).first()
    if customer is None:
        raise NotFound(resource_id=external_id)
    trace = trace_of(customer)
    held: dict[str, object] = {}
    for exporter in registered_exporters():
        held.update(exporter.export(trace))
    return held


def refuse_erased(*, tenant_id: int, external_id: str, email: str) -> None:
    """Raise CustomerErased when a customer with this number or e-mail has been erased."""
    erased = Q(number_hash=number_hash(tenant_id, external_id)) if external_id else Q()
    if email:
        erased |= Q(email_hash=email_hash(tenant_id, email))
    if erased and Erasure.objects.filter(erased, tenant=tenant_id).exists():
        raise CustomerErased


def trace_of(customer: Customer) -> CustomerTrace:
    return CustomerTrace(
        tenant_id=customer.tenant_id,
        customer_id=customer.pk,
        number=customer.external_id,
        pseudonym=pseudonym_of(customer.tenant_id, customer.external_id),
        marks=marks_of(getattr(customer, name) for name in PERSONAL),
    )


def number_hash(tenant_id: int, number: str) -> str:
    return keyed_hash("number", tenant_id, number)


def email_hash(tenant_id: int, email: str) -> str:
    return keyed_hash("e-mail", tenant_id, canonical_email(email))
