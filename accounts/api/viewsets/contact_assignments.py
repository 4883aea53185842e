"""Contact assignments."""

from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.api.filters import ContactAssignmentFilters
from accounts.bodies.legal_entities import ContactAssignmentBody, ContactAssignmentCreation
from accounts.bodies.rows import ResourceId
from accounts.identity.scopes import CONTACT_MANAGE, CONTACT_READ
from accounts.models import ContactAssignment
from accounts.operations import contact_assignments
from accounts.operations.documents import locked_version
from accounts.representations import CONTACT_ASSIGNMENTS
from core.api.error_bodies import CATEGORY_ERRORS
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import read_body
from core.errors import NotFound
from core.sql.composition import Sql, equals


class ContactAssignmentViewSet(ContractViewSet):
    tag = "Contact assignments"
    resource = CONTACT_ASSIGNMENTS
    created = ResourceId
    error_format = CATEGORY_ERRORS
    default_page_size = 16

    @operation(
        "GET-customer-mgmt-list-contact-assignments", scopes=(CONTACT_READ,), filters=ContactAssignmentFilters
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List contact assignments."""
        filters, needs = self.filter_conditions()
        own = Sql("contact.tenant_id = %s", (self.caller.tenant.id,))
        return self.page_response(CONTACT_ASSIGNMENTS, [own, *filters], needs=needs)

    @operation("GET-customer-mgmt-retrieve-contact-assignment", scopes=(CONTACT_READ,))
    def retrieve(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        """Retrieve a contact assignment."""
        conditions = [
            equals("contact.tenant_id", self.caller.tenant.id),
            equals("contact.external_id", contact_assignment_id),
        ]
        return self.document_response(
            CONTACT_ASSIGNMENTS, conditions, missing=partial(NotFound, resource_id=contact_assignment_id)
        )

    @operation(
        "POST-customer-mgmt-create-contact-assignment",
        scopes=(CONTACT_MANAGE,),
        request=ContactAssignmentCreation,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a contact assignment."""
        body = read_body(ContactAssignmentCreation, request.data)
        contact = contact_assignments.create_contact_assignment(
            tenant_id=self.caller.tenant.id,
            external_id=body.id or "",
            legal_entity_id=body.legal_entity.id,
            customer_id=body.customer.id,
            change=body.change(),
            at=self.at,
        )
        return self.created_response(contact.external_id)

    def locked_version(self) -> int | None:
        return locked_version(
            ContactAssignment,
            tenant_id=self.caller.tenant.id,
            external_id=self.kwargs["contact_assignment_id"],
        )

    @operation(
        "PUT-customer-mgmt-update-contact-assignment",
        scopes=(CONTACT_MANAGE,),
        request=ContactAssignmentBody,
    )
    def update(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        """Create or replace a contact assignment."""
        body = read_body(ContactAssignmentBody, request.data)
        contact, is_new = contact_assignments.upsert_contact_assignment(
            tenant_id=self.caller.tenant.id,
            external_id=contact_assignment_id,
            legal_entity_id=body.legal_entity.id,
            customer_id=body.customer.id,
            change=body.change(),
            at=self.at,
        )
        return self.created_response(contact.external_id) if is_new else HttpResponse(status=204)

    @operation("DELETE-customer-mgmt-remove-contact-assignment", scopes=(CONTACT_MANAGE,))
    def destroy(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        """Delete a contact assignment."""
        contact_assignments.delete_contact_assignment(
            tenant_id=self.caller.tenant.id, external_id=contact_assignment_id
        )
        return HttpResponse(status=204)
