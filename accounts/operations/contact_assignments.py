"""Contact assignments: which customers may act for which legal entities."""

from datetime import datetime

from django.db import transaction

from accounts.errors import DuplicateContact, DuplicateId, UnknownReference
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import ContactAssignment, Customer, LegalEntity
from accounts.operations.documents import (
    Change,
    apply_change,
    delete_row,
    existing_document,
    locked_document,
)
from core.errors import DomainError
from core.sql.integrity import translate_integrity_errors
from core.tenancy.identifiers import check_client_id, generate_id


@transaction.atomic
def create_contact_assignment(
    *,
    tenant_id: int,
    legal_entity_id: str,
    customer_id: str,
    change: Change,
    external_id: str = "",
    at: datetime,
) -> ContactAssignment:
    """Let the customer act for the legal entity; both are named by the ids that clients know.

    Raises UnknownReference, DuplicateId, DuplicateContact, and InvalidInput for an id that clients cannot
    choose.
    """
    contact = ContactAssignment(
        tenant_id=tenant_id,
        external_id=check_client_id(external_id, field="id") if external_id else generate_id(),
        legal_entity=legal_entity_named(tenant_id, legal_entity_id),
        customer=customer_referenced(tenant_id, customer_id),
        created_at=at,
        modified_at=at,
        **change.values,
    )
    save(contact)
    return contact


@transaction.atomic
def upsert_contact_assignment(
    *,
    tenant_id: int,
    external_id: str,
    legal_entity_id: str,
    customer_id: str,
    change: Change,
    at: datetime,
) -> tuple[ContactAssignment, bool]:
    """Replace the assignment, or make one with this id; say whether it was made.

    Raises VersionConflict and what `create_contact_assignment` raises.
    """
    contact = locked_document(ContactAssignment, tenant_id=tenant_id, external_id=external_id)
    if contact is None:
        try:
            created = create_contact_assignment(
                tenant_id=tenant_id,
                external_id=external_id,
                legal_entity_id=legal_entity_id,
                customer_id=customer_id,
                change=change,
                at=at,
            )
        except DuplicateId:  # another writer has just made it
            contact = existing_document(ContactAssignment, tenant_id=tenant_id, external_id=external_id)
        else:
            return created, True
    apply_change(contact, change, at=at)
    contact.legal_entity = legal_entity_named(tenant_id, legal_entity_id)
    contact.customer = customer_referenced(tenant_id, customer_id)
    save(contact)
    announce_revocation()
    return contact, False


@transaction.atomic
def delete_contact_assignment(*, tenant_id: int, external_id: str) -> None:
    """End the assignment, and with it what sessions may do for the legal entity. Raises NotFound."""
    delete_row(
        existing_document(ContactAssignment, tenant_id=tenant_id, external_id=external_id, for_deletion=True)
    )
    announce_revocation()


def save(contact: ContactAssignment) -> None:
    errors: dict[str, DomainError] = {
        "contact_id_unique": DuplicateId(resource_id=contact.external_id),
        "contact_unique": DuplicateContact(),
    }
    with translate_integrity_errors(errors):
        contact.save()


def legal_entity_named(tenant_id: int, external_id: str) -> LegalEntity:
    entity = LegalEntity.objects.for_tenant(tenant_id).filter(external_id=external_id).first()
    if entity is None:
        raise UnknownReference(f"There is no legal entity {external_id}.", field="legalEntity.id")
    return entity


def customer_referenced(tenant_id: int, external_id: str) -> Customer:
    customer = Customer.objects.for_tenant(tenant_id).filter(external_id=external_id).first()
    if customer is None:
        raise UnknownReference(f"There is no customer {external_id}.", field="customer.id")
    return customer
