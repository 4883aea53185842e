"""Contact assignments."""

from collections.abc import Sequence

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.api.serializers.companies import (
    ContactAssignmentAnswer,
    ContactAssignmentCreation,
    ContactAssignmentInput,
)
from accounts.api.serializers.documents import AccountResourceId
from accounts.api.viewsets.legal_entities import EQUAL, filter_conditions
from accounts.identity.scopes import CONTACT_MANAGE, CONTACT_READ
from accounts.operations import contact_assignments
from accounts.representations import CONTACT_ASSIGNMENTS
from core.api import parameters
from core.api.error_bodies import CATEGORY_ERRORS
from core.api.errors import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import NotFound
from core.sql.composition import Sql

FILTERS = {
    "legalEntity.id": EQUAL.format("legal_entity.external_id"),
    "customer.id": EQUAL.format("customer.external_id"),
    "type": EQUAL.format("contact.type"),
}
FILTER_PARAMETERS = [
    *(query_parameter(name, f"Only those with this {name}.") for name in FILTERS),
    query_parameter("primary", "Only those that are primary, or not.", type=bool),
]
FILTER_JOINS = {"legalEntity.id": "legal_entity", "customer.id": "customer"}


class ContactAssignmentViewSet(ContractViewSet):
    tag = "Contact assignments"
    resource = ContactAssignmentAnswer
    created = AccountResourceId
    error_format = CATEGORY_ERRORS
    default_page_size = 16

    @operation(
        "GET-customer-mgmt-list-contact-assignments", scopes=(CONTACT_READ,), parameters=FILTER_PARAMETERS
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List contact assignments."""
        return self.page_response(CONTACT_ASSIGNMENTS, self.wanted(), needs=self.filter_joins())

    @operation("GET-customer-mgmt-retrieve-contact-assignment", scopes=(CONTACT_READ,))
    def retrieve(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        """Retrieve a contact assignment."""
        conditions = [
            Sql("contact.tenant_id = %s", (self.caller.tenant.id,)),
            Sql("contact.external_id = %s", (contact_assignment_id,)),
        ]
        return self.document_response(
            CONTACT_ASSIGNMENTS, conditions, missing=NotFound(resource_id=contact_assignment_id)
        )

    @operation(
        "POST-customer-mgmt-create-contact-assignment",
        scopes=(CONTACT_MANAGE,),
        request=ContactAssignmentCreation,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a contact assignment."""
        body = ContactAssignmentCreation(data=request.data)
        body.is_valid(raise_exception=True)
        contact = contact_assignments.create_contact_assignment(
            tenant_id=self.caller.tenant.id,
            external_id=body.validated_data.get("id", ""),
            change=body.change("id", "legalEntity", "customer"),
            at=self.at,
            **body.references,
        )
        return json_response({"id": contact.external_id}, 201)

    @operation(
        "PUT-customer-mgmt-update-contact-assignment",
        scopes=(CONTACT_MANAGE,),
        request=ContactAssignmentInput,
    )
    def update(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        """Create or replace a contact assignment."""
        body = ContactAssignmentInput(data=request.data)
        body.is_valid(raise_exception=True)
        contact, is_new = contact_assignments.upsert_contact_assignment(
            tenant_id=self.caller.tenant.id,
            external_id=contact_assignment_id,
            change=body.change("legalEntity", "customer"),
            at=self.at,
            **body.references,
        )
        return json_response({"id": contact.external_id}, 201) if is_new else HttpResponse(status=204)

    @operation("DELETE-customer-mgmt-remove-contact-assignment", scopes=(CONTACT_MANAGE,))
    def destroy(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        """Delete a contact assignment."""
        contact_assignments.delete_contact_assignment(
            tenant_id=self.caller.tenant.id, external_id=contact_assignment_id
        )
        return HttpResponse(status=204)

    def wanted(self) -> Sequence[Sql]:
        """Return the conditions of the tenant's contact assignments that the caller asks for."""
        query = self.request.query_params
        conditions = [
            Sql("contact.tenant_id = %s", (self.caller.tenant.id,)),
            *filter_conditions(query, FILTERS),
        ]
        if query.get("primary", "").strip():
            conditions.append(Sql("contact.is_primary = %s", (parameters.flag(query, "primary"),)))
        return conditions

    def filter_joins(self) -> Sequence[str]:
        query = self.request.query_params
        return [join for name, join in FILTER_JOINS.items() if query.get(name)]
