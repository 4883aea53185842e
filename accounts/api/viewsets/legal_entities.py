"""Legal entities."""

from collections.abc import Sequence

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.api.filters import LegalEntityFilters
from accounts.api.serializers.companies import LegalEntityAnswer, LegalEntityCreation, LegalEntityInput
from accounts.api.serializers.documents import AccountResourceId, AccountSearch
from accounts.identity.scopes import LEGAL_ENTITY_MANAGE, LEGAL_ENTITY_READ, LEGAL_ENTITY_READ_OWN
from accounts.operations import legal_entities
from accounts.representations import LEGAL_ENTITIES
from core.api.error_bodies import CATEGORY_ERRORS
from core.api.errors import json_response
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import NotFound
from core.sql.composition import Sql

READ = (LEGAL_ENTITY_READ, LEGAL_ENTITY_READ_OWN)


class LegalEntityViewSet(ContractViewSet):
    tag = "Legal entities"
    resource = LegalEntityAnswer
    created = AccountResourceId
    search_body = AccountSearch
    error_format = CATEGORY_ERRORS
    default_page_size = 16

    @operation("GET-customer-mgmt-list-legal-entities", scopes=READ, filters=LegalEntityFilters)
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List legal entities.

        With `customermanagement.legalentity_read_own` alone: those that the customer acts for.
        """
        filters, needs = self.filter_conditions()
        return self.page_response(LEGAL_ENTITIES, [*self.visible_entities(), *filters], needs=needs)

    @operation("POST-customer-mgmt-search-legal-entities", scopes=READ, filters=LegalEntityFilters)
    def search(self, request: Request, tenant: str) -> HttpResponse:
        """Search for legal entities."""
        filters, needs = self.filter_conditions()
        conditions = [*self.visible_entities(), *filters]
        return self.page_response(LEGAL_ENTITIES, conditions, q=self.search_text(), needs=needs)

    @operation("GET-customer-mgmt-retrieve-legal-entity", scopes=(LEGAL_ENTITY_READ,))
    def retrieve(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        """Retrieve a legal entity."""
        conditions = [*self.visible_entities(), Sql("legal_entity.external_id = %s", (legal_entity_id,))]
        return self.document_response(
            LEGAL_ENTITIES, conditions, missing=NotFound(resource_id=legal_entity_id)
        )

    @operation(
        "POST-customer-mgmt-create-legal-entity", scopes=(LEGAL_ENTITY_MANAGE,), request=LegalEntityCreation
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a legal entity."""
        body = LegalEntityCreation(data=request.data)
        body.is_valid(raise_exception=True)
        entity = legal_entities.create_legal_entity(
            tenant_id=self.caller.tenant.id,
            external_id=body.validated_data.get("id", ""),
            parent_id=body.validated_data["parentId"],
            change=body.change("id", "parentId"),
            at=self.at,
        )
        return json_response({"id": entity.external_id}, 201)

    def locked_version(self) -> int | None:
        return legal_entities.locked_version(
            tenant_id=self.caller.tenant.id, external_id=self.kwargs["legal_entity_id"]
        )

    @operation(
        "PUT-customer-mgmt-update-legal-entity", scopes=(LEGAL_ENTITY_MANAGE,), request=LegalEntityInput
    )
    def update(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        """Create or replace a legal entity."""
        body = LegalEntityInput(data=request.data)
        body.is_valid(raise_exception=True)
        entity, is_new = legal_entities.upsert_legal_entity(
            tenant_id=self.caller.tenant.id,
            external_id=legal_entity_id,
            parent_id=body.validated_data["parentId"],
            change=body.change("parentId"),
            at=self.at,
        )
        return json_response({"id": entity.external_id}, 201) if is_new else HttpResponse(status=204)

    @operation("DELETE-customer-mgmt-remove-legal-entity", scopes=(LEGAL_ENTITY_MANAGE,))
    def destroy(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        """Delete a legal entity.

        Its subsidiaries go too, and the contact and segment assignments of all of them.
        """
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
