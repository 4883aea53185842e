from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from accounts.models import Customer, LegalEntity
from core.api import parameters
from core.api.conditional import private_response_from
from core.api.document_checks import document_in
from core.api.json import multi_status, read_batch
from core.api.schema import operation
from core.bodies import SearchBody, read_bodies
from core.errors import DomainError, NotFound
from core.journal.past import reading_past
from core.representation.fields import Integer
from core.representation.pages import fetch_page
from core.representation.representations import Representation
from core.sql.composition import Sql, param, sql
from core.windows import open_at
from segments.api.viewsets.base import AS_OF, LEGAL_ENTITY_ID, SegmentServiceViewSet
from segments.bodies import (
    AssignmentBody,
    BulkAssignmentResult,
    CustomerAssignmentBody,
    MemberBody,
    read_customer_assignment,
)
from segments.models import CustomerAssignment
from segments.operations import customers as operations
from segments.operations.customers import Member
from segments.representations import CUSTOMER_ASSIGNMENT

READ = (SEGMENT_READ,)
MANAGE = (SEGMENT_MANAGE,)


class MemberKeys(msgspec.Struct):
    """The keys of a row of the list of members."""

    customer: int
    entity: int | None = None


MEMBER_KEYS = Representation(
    name="MemberKeys",
    table=CUSTOMER_ASSIGNMENT.table,
    alias=CUSTOMER_ASSIGNMENT.alias,
    fields={"customer": Integer("assignment.customer_id"), "entity": Integer("assignment.legal_entity_id")},
)
"""The list of members by their keys, in the order of CUSTOMER_ASSIGNMENT."""


class MemberViewSet(SegmentServiceViewSet):
    """What B2C and B2B assignments share."""

    tag = "Customers Assignments"
    resource = CUSTOMER_ASSIGNMENT
    bulk_result = BulkAssignmentResult
    search_body = SearchBody

    def member_response(self, segment_id: str, member: Member) -> HttpResponse:
        customer = self.key_of("accounts_customer", member.customer_id)
        conditions = [
            *self.assignments_to(self.segment_key(segment_id)),
            sql("assignment.customer_id = {customer}", customer=customer),
        ]
        if member.legal_entity_id is None:
            conditions.append(Sql("assignment.legal_entity_id IS NULL"))
        else:
            entity = self.key_of("accounts_legalentity", member.legal_entity_id)
            conditions.append(sql("assignment.legal_entity_id = {entity}", entity=entity))
        missing = partial(NotFound, resource_id=member.customer_id)
        return self.document_response(CUSTOMER_ASSIGNMENT, conditions, missing=missing)

    def locked_version(self) -> int | None:
        member = Member(self.kwargs["customer_id"], self.kwargs.get("legal_entity_id"))
        return operations.locked_version(
            tenant_id=self.caller.tenant.id, segment_id=self.kwargs["segment_id"], member=member
        )

    def upsert_member(self, request: Request, segment_id: str, member: Member) -> HttpResponse:
        created = operations.upsert_customer_assignment(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            row=read_customer_assignment(request.data, member),
            at=self.at,
        )
        return self.created_response() if created else HttpResponse(status=204)

    def delete_member(self, segment_id: str, member: Member) -> HttpResponse:
        operations.delete_customer_assignment(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, member=member
        )
        return HttpResponse(status=204)


class CustomerAssignmentViewSet(MemberViewSet):
    """Customers of a segment, by themselves (B2C) or for a legal entity (B2B)."""

    def stored_entry(self, entry: object) -> object:
        if self.action != "bulk_update" or not isinstance(entry, dict):
            return None
        member = Member(str(entry.get("customerId")), entry.get("legalEntityId"))
        return document_in(partial(self.member_response, self.kwargs["segment_id"], member))

    @operation(
        "GET-customer-segment-retrieve-customers",
        scopes=(SEGMENT_READ, SEGMENT_READ_OWN),
        parameters=(LEGAL_ENTITY_ID, AS_OF),
    )
    def list(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """List the customers of a segment.

        Without customersegment.segment_read, the caller's own assignments that count.
        """
        shopper = self.own_shopper()
        if shopper is None:
            return self.members_response(segment_id, q=None)
        resolved = self.resolve_segment(shopper, segment_id)
        [key] = resolved.segment_ids
        own = sql(
            "assignment.customer_id = {customer}"
            " AND (assignment.legal_entity_id IS NULL OR assignment.legal_entity_id = {entity})",
            customer=param(resolved.context.customer_id),
            entity=param(resolved.context.legal_entity_id),
        )
        conditions = [*self.assignments_to(param(key)), own, open_at(self.at, "assignment")]
        return private_response_from(request, self.page_response(CUSTOMER_ASSIGNMENT, conditions))

    @operation("POST-customer-segment-search-customers", scopes=READ)
    def search(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Search the customers of a segment."""
        return self.members_response(segment_id, q=self.search_text())

    def members_response(self, segment_id: str, *, q: str | None) -> HttpResponse:
        conditions = self.assignments_to(self.segment_key(segment_id))
        query = self.request.query_params
        if self.reads_past and not q and not parameters.given(query, "q") and not self.page_request().sort:
            return self.past_members_response(segment_id, conditions)
        return self.page_response(
            CUSTOMER_ASSIGNMENT,
            conditions,
            q=q,
            keeps_plan=True,
            when_empty=partial(self.require_segment, segment_id),
        )

    def past_members_response(self, segment_id: str, conditions: Sequence[Sql]) -> HttpResponse:
        """Find the keys of the page first, and read the past of what it shows by these keys.

        So the past of all other members and customers, who may have changed since, costs nothing.
        """
        request = self.page_request()
        found = fetch_page(MEMBER_KEYS, replace(request, fields=(), size=request.size + 1), conditions, set())
        rows = [msgspec.json.decode(row, type=MemberKeys) for row in found.documents]
        needed = self.needed_rows()
        customers = sorted({row.customer for row in rows})
        needed[CustomerAssignment]["customer_id"] = customers
        needed[Customer] = {"id": customers}
        needed[LegalEntity] = {"id": sorted({row.entity for row in rows if row.entity is not None})}
        with reading_past(self.caller.tenant.id, self.previewed()[1], needed):
            response = self.page_response(
                CUSTOMER_ASSIGNMENT, conditions, when_empty=partial(self.require_segment, segment_id)
            )
        if request.wants_count:
            response[self.count_header] = str(found.count)
        return response

    @operation("GET-customer-segment-retrieve-customer-by-customerId", scopes=READ)
    def retrieve(self, request: Request, tenant: str, segment_id: str, customer_id: str) -> HttpResponse:
        """Read the B2C assignment of a customer."""
        return self.member_response(segment_id, Member(customer_id))

    @operation(
        "PUT-customer-segment-update-customer-by-customerId",
        scopes=MANAGE,
        request=AssignmentBody,
    )
    def update(self, request: Request, tenant: str, segment_id: str, customer_id: str) -> HttpResponse:
        """Create or replace the B2C assignment of a customer."""
        return self.upsert_member(request, segment_id, Member(customer_id))

    @operation("DELETE-customer-segment-remove-customer-by-customerId", scopes=MANAGE)
    def destroy(self, request: Request, tenant: str, segment_id: str, customer_id: str) -> HttpResponse:
        """Delete the B2C assignment of a customer."""
        return self.delete_member(segment_id, Member(customer_id))

    @operation(
        "PUT-customer-segment-update-customers-bulk",
        scopes=MANAGE,
        request=[CustomerAssignmentBody],
    )
    def bulk_update(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Create or replace up to 200 assignments of customers."""
        written = operations.upsert_customer_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            rows=read_bodies(CustomerAssignmentBody, read_batch(request.data)),
            at=self.at,
        )
        return multi_status(written)

    @operation("DELETE-customer-segment-remove-customers-bulk", scopes=MANAGE, request=[MemberBody])
    def bulk_destroy(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Delete up to 200 assignments of customers."""
        deleted = operations.delete_customer_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            members=[member_of(body) for body in read_bodies(MemberBody, read_batch(request.data))],
        )
        return multi_status(deleted)


class LegalEntityCustomerViewSet(MemberViewSet):
    """Customers of a segment for a legal entity (B2B)."""

    @operation("GET-customer-segment-retrieve-customer", scopes=READ)
    def retrieve(
        self, request: Request, tenant: str, segment_id: str, customer_id: str, legal_entity_id: str
    ) -> HttpResponse:
        """Read the assignment of a customer for a legal entity."""
        return self.member_response(segment_id, Member(customer_id, legal_entity_id))

    @operation("PUT-customer-segment-update-customer", scopes=MANAGE, request=AssignmentBody)
    def update(
        self, request: Request, tenant: str, segment_id: str, customer_id: str, legal_entity_id: str
    ) -> HttpResponse:
        """Create or replace the assignment of a customer for a legal entity."""
        return self.upsert_member(request, segment_id, Member(customer_id, legal_entity_id))

    @operation("DELETE-customer-segment-remove-customer", scopes=MANAGE)
    def destroy(
        self, request: Request, tenant: str, segment_id: str, customer_id: str, legal_entity_id: str
    ) -> HttpResponse:
        """Delete the assignment of a customer for a legal entity."""
        return self.delete_member(segment_id, Member(customer_id, legal_entity_id))


def member_of(body: MemberBody | DomainError) -> Member | DomainError:
    """Return the member that an entry of a bulk deletion names, or why it could not be read."""
    return body if isinstance(body, DomainError) else Member(body.customer_id, body.legal_entity_id)
