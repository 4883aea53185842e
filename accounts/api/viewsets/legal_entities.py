"""Legal entities."""

from collections.abc import Sequence
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.api.filters import LegalEntityFilters
from accounts.bodies.legal_entities import LegalEntityBody, LegalEntityCreation
from accounts.bodies.rows import ResourceId
from accounts.identity.scopes import LEGAL_ENTITY_MANAGE, LEGAL_ENTITY_READ, LEGAL_ENTITY_READ_OWN
from accounts.operations import legal_entities
from accounts.representations import LEGAL_ENTITIES
from core.api.error_bodies import CATEGORY_ERRORS
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import SearchBody, read_body
from core.errors import NotFound
from core.sql.composition import Sql, equals, param, sql
from core.sql.fetching import fetch_rows

READ = (LEGAL_ENTITY_READ, LEGAL_ENTITY_READ_OWN)


LINEAGE = """
WITH RECURSIVE lineage AS (
    SELECT id, parent_id, 0 AS steps FROM accounts_legalentity
    WHERE tenant_id = {tenant} AND external_id = {id}
    UNION ALL
    SELECT above.id, above.parent_id, lineage.steps + 1 FROM accounts_legalentity AS above
    JOIN lineage ON above.id = lineage.parent_id WHERE above.tenant_id = {tenant}
)
SELECT {document} FROM lineage
JOIN accounts_legalentity AS legal_entity ON legal_entity.id = lineage.id{joins}
ORDER BY lineage.steps
"""


class LegalEntityViewSet(ContractViewSet):
    tag = "Legal entities"
    resource = LEGAL_ENTITIES
    created = ResourceId
    search_body = SearchBody
    error_format = CATEGORY_ERRORS
    default_page_size = 16

    @operation("GET-customer-mgmt-list-legal-entities", scopes=READ, filters=LegalEntityFilters)
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List legal entities.

        With `customermanagement.legalentity_read_own` only: those that the customer acts for.
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
        conditions = [
            *self.visible_entities(),
            equals("legal_entity.external_id", legal_entity_id),
        ]
        return self.document_response(
            LEGAL_ENTITIES, conditions, missing=partial(NotFound, resource_id=legal_entity_id)
        )

    @operation(
        "GET-customer-mgmt-retrieve-legal-entity-parent-hierarchy",
        scopes=(LEGAL_ENTITY_READ,),
        responses={200: [LEGAL_ENTITIES]},
    )
    def lineage(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        """Retrieve a legal entity with its parent hierarchy.

        The legal entity comes first, then its parent, and so on.
        """
        statement = sql(
            LINEAGE,
            tenant=param(self.caller.tenant.id),
            id=param(legal_entity_id),
            document=LEGAL_ENTITIES.document(None, self.languages()),
            joins=LEGAL_ENTITIES.joined(LEGAL_ENTITIES.needs_of(None)),
        )
        documents = [document for (document,) in fetch_rows(statement)]
        if not documents:
            raise NotFound(resource_id=legal_entity_id)
        return HttpResponse(f"[{','.join(documents)}]", content_type="application/json")

    @operation(
        "POST-customer-mgmt-create-legal-entity", scopes=(LEGAL_ENTITY_MANAGE,), request=LegalEntityCreation
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a legal entity."""
        body = read_body(LegalEntityCreation, request.data)
        entity = legal_entities.create_legal_entity(
            tenant_id=self.caller.tenant.id,
            external_id=body.id or "",
            parent_id=body.parent_id or "",
            change=body.change(),
            at=self.at,
        )
        return self.created_response(entity.external_id)

    def locked_version(self) -> int | None:
        return legal_entities.locked_version(
            tenant_id=self.caller.tenant.id, external_id=self.kwargs["legal_entity_id"]
        )

    @operation(
        "PUT-customer-mgmt-update-legal-entity", scopes=(LEGAL_ENTITY_MANAGE,), request=LegalEntityBody
    )
    def update(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        """Create or replace a legal entity."""
        body = read_body(LegalEntityBody, request.data)
        entity, is_new = legal_entities.upsert_legal_entity(
            tenant_id=self.caller.tenant.id,
            external_id=legal_entity_id,
            parent_id=body.parent_id or "",
            change=body.change(),
            at=self.at,
        )
        return self.created_response(entity.external_id) if is_new else HttpResponse(status=204)

    @operation("DELETE-customer-mgmt-remove-legal-entity", scopes=(LEGAL_ENTITY_MANAGE,))
    def destroy(self, request: Request, tenant: str, legal_entity_id: str) -> HttpResponse:
        """Delete a legal entity.

        Its subsidiaries go too, and the contact and segment assignments of all of them.
        """
        legal_entities.delete_legal_entity(tenant_id=self.caller.tenant.id, external_id=legal_entity_id)
        return HttpResponse(status=204)

    def visible_entities(self) -> Sequence[Sql]:
        """Return the conditions of the legal entities that the caller may read."""
        conditions = [equals("legal_entity.tenant_id", self.caller.tenant.id)]
        if not self.has_scope(LEGAL_ENTITY_READ):
            own = self.caller.customer
            conditions.append(
                sql(
                    "legal_entity.id IN (SELECT contact.legal_entity_id FROM accounts_contactassignment"
                    " AS contact WHERE contact.tenant_id = {tenant} AND contact.customer_id = {customer})",
                    tenant=param(self.caller.tenant.id),
                    customer=param(own.id),
                )
                if own
                else Sql("FALSE")
            )
        return conditions
