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
from core.api.error_schemas import CategoryError
from core.api.errors import category_shape, json_answer
from core.api.parameters import (
    FIELDS,
    PAGING,
    SORT,
    TENANT,
    TOTAL_COUNT_HEADER,
    Q,
    path_parameter,
    query_parameter,
)
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import NotFound
from core.sql.composition import Sql

TAGS = ["Contact assignments"]
ID = path_parameter("contact_assignment_id", "The contact assignment's id.")
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
    error_shape = staticmethod(category_shape)
    default_page_size = 16

    @operation(
        "GET-customer-mgmt-list-contact-assignments",
        summary="List contact assignments",
        tags=TAGS,
        scopes=(CONTACT_READ,),
        parameters=[TENANT, Q, SORT, FIELDS, *PAGING, TOTAL_COUNT_HEADER, *FILTER_PARAMETERS],
        responses={200: ContactAssignmentAnswer(many=True)},
        error_schema=CategoryError,
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_page(CONTACT_ASSIGNMENTS, self.wanted(), needs=self.filter_joins())

    @operation(
        "GET-customer-mgmt-retrieve-contact-assignment",
        summary="Retrieve a contact assignment",
        tags=TAGS,
        scopes=(CONTACT_READ,),
        parameters=[TENANT, ID, FIELDS],
        responses={200: ContactAssignmentAnswer},
        errors=(400, 401, 403, 404),
        error_schema=CategoryError,
    )
    def retrieve(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        conditions = [
            Sql("contact.tenant_id = %s", (self.caller.tenant.id,)),
            Sql("contact.external_id = %s", (contact_assignment_id,)),
        ]
        return self.answer_one(
            CONTACT_ASSIGNMENTS, conditions, missing=NotFound(resource_id=contact_assignment_id)
        )

    @operation(
        "POST-customer-mgmt-create-contact-assignment",
        summary="Create a contact assignment",
        tags=TAGS,
        scopes=(CONTACT_MANAGE,),
        parameters=[TENANT],
        request=ContactAssignmentCreation,
        responses={201: AccountResourceId},
        errors=(400, 401, 403, 409),
        error_schema=CategoryError,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        body = ContactAssignmentCreation(data=request.data)
        body.is_valid(raise_exception=True)
        contact = contact_assignments.create_contact_assignment(
            tenant_id=self.caller.tenant.id,
            external_id=body.validated_data.get("id", ""),
            change=body.change("id", "legalEntity", "customer"),
            at=self.at,
            **body.references,
        )
        return json_answer({"id": contact.external_id}, 201)

    @operation(
        "PUT-customer-mgmt-update-contact-assignment",
        summary="Create or replace a contact assignment",
        tags=TAGS,
        scopes=(CONTACT_MANAGE,),
        parameters=[TENANT, ID],
        request=ContactAssignmentInput,
        responses={201: AccountResourceId, 204: None},
        errors=(400, 401, 403, 409),
        error_schema=CategoryError,
    )
    def upsert(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
        body = ContactAssignmentInput(data=request.data)
        body.is_valid(raise_exception=True)
        contact, is_new = contact_assignments.upsert_contact_assignment(
            tenant_id=self.caller.tenant.id,
            external_id=contact_assignment_id,
            change=body.change("legalEntity", "customer"),
            at=self.at,
            **body.references,
        )
        return json_answer({"id": contact.external_id}, 201) if is_new else HttpResponse(status=204)

    @operation(
        "DELETE-customer-mgmt-remove-contact-assignment",
        summary="Delete a contact assignment",
        tags=TAGS,
        scopes=(CONTACT_MANAGE,),
        parameters=[TENANT, ID],
        responses={204: None},
        errors=(400, 401, 403, 404),
        error_schema=CategoryError,
    )
    def destroy(self, request: Request, tenant: str, contact_assignment_id: str) -> HttpResponse:
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
