"""Legal entities."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.api.serializers.companies import LegalEntityAnswer, LegalEntityCreation, LegalEntityInput
from accounts.api.serializers.documents import AccountResourceId, AccountSearch
from accounts.identity.scopes import LEGAL_ENTITY_MANAGE, LEGAL_ENTITY_READ, LEGAL_ENTITY_READ_OWN
from accounts.operations import legal_entities
from accounts.representations import LEGAL_ENTITIES
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
from core.errors import InvalidInput, NotFound
from core.sql.composition import Sql

TAGS = ["Legal entities"]
ID = path_parameter("legal_entity_id", "The legal entity's id.")
EQUAL = "{} = %s"
EQUAL_IN_ANY_CASE = "lower({}) = lower(%s)"
CONTAINED_IN_ANY_CASE = "position(lower(%s) in lower({})) > 0"
FILTERS = {
    "id": EQUAL_IN_ANY_CASE.format("legal_entity.external_id"),
    "name": CONTAINED_IN_ANY_CASE.format("legal_entity.name"),
    "type": EQUAL.format("legal_entity.type"),
    "parentId": EQUAL.format("parent.external_id"),
    "legalInfo.legalName": CONTAINED_IN_ANY_CASE.format("legal_entity.legal_info ->> 'legalName'"),
    "legalInfo.registrationDate": EQUAL.format("legal_entity.legal_info ->> 'registrationDate'"),
    "legalInfo.taxRegistrationNumber": EQUAL.format("legal_entity.legal_info ->> 'taxRegistrationNumber'"),
    "legalInfo.registrationAgency": CONTAINED_IN_ANY_CASE.format(
        "legal_entity.legal_info ->> 'registrationAgency'"
    ),
    "legalInfo.countryOfRegistration": CONTAINED_IN_ANY_CASE.format(
        "legal_entity.legal_info ->> 'countryOfRegistration'"
    ),
    "legalInfo.registrationId": EQUAL.format("legal_entity.legal_info ->> 'registrationId'"),
}
FILTER_PARAMETERS = [query_parameter(name, f"Only those with this {name}.") for name in FILTERS]
READ = (LEGAL_ENTITY_READ, LEGAL_ENTITY_READ_OWN)


class LegalEntityViewSet(ContractViewSet):
    error_shape = staticmethod(category_shape)
    default_page_size = 16

    @operation(
        "GET-customer-mgmt-list-legal-entities",
        summary="List legal entities",
        tags=TAGS,
        scopes=READ,
        parameters=[TENANT, Q, SORT, FIELDS, *PAGING, TOTAL_COUNT_HEADER, *FILTER_PARAMETERS],
        responses={200: LegalEntityAnswer(many=True)},
        error_schema=CategoryError,
        description="With `customermanagement.legalentity_read_own` alone: those that the customer acts for.",
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_page(LEGAL_ENTITIES, self.wanted_entities(), needs=self.filter_joins())

    @operation(
        "POST-customer-mgmt-search-legal-entities",
        summary="Search for legal entities",
        tags=TAGS,
        scopes=READ,
        parameters=[TENANT, SORT, FIELDS, *PAGING, TOTAL_COUNT_HEADER, *FILTER_PARAMETERS],
        request=AccountSearch,
        responses={200: LegalEntityAnswer(many=True)},
        error_schema=CategoryError,
    )
    def search(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_page(
            LEGAL_ENTITIES, self.wanted_entities(), q=self.search_text(), needs=self.filter_joins()
        )

    @operation(
        "GET-customer-mgmt-retrieve-legal-entity",
        summary="Retrieve a legal entity",
        tags=TAGS,
        scopes=(LEGAL_ENTITY_READ,),
        parameters=[TENANT, ID, FIELDS],
        responses={200: LegalEntityAnswer},
        errors=(400, 401, 403, 404),
        error_schema=CategoryError,
    )
    def retrieve(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        conditions = [*self.visible_entities(), Sql("legal_entity.external_id = %s", (legal_entity_id,))]
        return self.answer_one(LEGAL_ENTITIES, conditions, missing=NotFound(resource_id=legal_entity_id))

    @operation(
        "POST-customer-mgmt-create-legal-entity",
        summary="Create a legal entity",
        tags=TAGS,
        scopes=(LEGAL_ENTITY_MANAGE,),
        parameters=[TENANT],
        request=LegalEntityCreation,
        responses={201: AccountResourceId},
        errors=(400, 401, 403, 409),
        error_schema=CategoryError,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        body = LegalEntityCreation(data=request.data)
        body.is_valid(raise_exception=True)
        entity = legal_entities.create_legal_entity(
            tenant_id=self.caller.tenant.id,
            external_id=body.validated_data.get("id", ""),
            parent_id=body.validated_data["parentId"],
            change=body.change("id", "parentId"),
            at=self.at,
        )
        return json_answer({"id": entity.external_id}, 201)

    @operation(
        "PUT-customer-mgmt-update-legal-entity",
        summary="Create or replace a legal entity",
        tags=TAGS,
        scopes=(LEGAL_ENTITY_MANAGE,),
        parameters=[TENANT, ID],
        request=LegalEntityInput,
        responses={201: AccountResourceId, 204: None},
        errors=(400, 401, 403, 409),
        error_schema=CategoryError,
    )
    def upsert(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        body = LegalEntityInput(data=request.data)
        body.is_valid(raise_exception=True)
        entity, is_new = legal_entities.upsert_legal_entity(
            tenant_id=self.caller.tenant.id,
            external_id=legal_entity_id,
            parent_id=body.validated_data["parentId"],
            change=body.change("parentId"),
            at=self.at,
        )
        return json_answer({"id": entity.external_id}, 201) if is_new else HttpResponse(status=204)

    @operation(
        "DELETE-customer-mgmt-remove-legal-entity",
        summary="Delete a legal entity",
        tags=TAGS,
        scopes=(LEGAL_ENTITY_MANAGE,),
        parameters=[TENANT, ID],
        responses={204: None},
        errors=(400, 401, 403, 404),
        error_schema=CategoryError,
        description="Its subsidiaries go too, and the contact and segment assignments of all of them.",
    )
    def destroy(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        legal_entities.delete_legal_entity(tenant_id=self.caller.tenant.id, external_id=legal_entity_id)
        return HttpResponse(status=204)

    def visible_entities(self) -> Sequence[Sql]:
        """Return the conditions of the legal entities that the caller may read."""
        conditions = [Sql("legal_entity.tenant_id = %s", (self.caller.tenant.id,))]
        if not self.has_scope(LEGAL_ENTITY_READ):
            own = self.caller.customer
            conditions.append(
                Sql(
                    "legal_entity.id IN (SELECT contact.legal_entity_id FROM accounts_contactassignment"
                    " AS contact WHERE contact.tenant_id = %s AND contact.customer_id = %s)",
                    (self.caller.tenant.id, own.id),
                )
                if own
                else Sql("FALSE")
            )
        return conditions

    def wanted_entities(self) -> Sequence[Sql]:
        """Return the conditions of the legal entities that the caller may read and asks for."""
        return [*self.visible_entities(), *filter_conditions(self.request.query_params, FILTERS)]

    def filter_joins(self) -> Sequence[str]:
        return ("parent",) if self.request.query_params.get("parentId") else ()


def filter_conditions(query: Any, filters: dict[str, str]) -> list[Sql]:
    """Return the conditions that the query's parameters ask for; an empty parameter asks for nothing."""
    conditions = []
    for name, condition in filters.items():
        if value := parameters.text(query, name):
            if "\x00" in value:
                raise InvalidInput(f"{name} holds the character NUL.", field=name)
            conditions.append(Sql(condition, (value,)))
    return conditions
