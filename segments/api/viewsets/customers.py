from collections.abc import Sequence
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from core.api.bulk import multi_status, read_batch
from core.api.conditional import private_response_from
from core.api.schema import operation
from core.errors import NotFound
from core.sql.composition import Sql
from core.windows import open_at
from segments import bodies as rows
from segments.api import serializers
from segments.api.viewsets.base import LEGAL_ENTITY_ID, SegmentServiceViewSet, upsert_response
from segments.operations import customers as operations
from segments.operations.customers import Member
from segments.representations import CUSTOMER_ASSIGNMENT

READ = (SEGMENT_READ,)
MANAGE = (SEGMENT_MANAGE,)


class MemberViewSet(SegmentServiceViewSet):
    """What B2C and B2B assignments share."""

    tag = "Customers Assignments"
    resource = serializers.CustomerAssignmentResponse
    bulk_result = serializers.BulkAssignmentResponse
    search_body = serializers.SearchBody

    def member_response(self, segment_id: str, member: Member) -> HttpResponse:
        tenant_id = self.caller.tenant.id
        conditions = [
            self.tenant_condition("assignment"),
            Sql(
                "assignment.segment_id ="
                " (SELECT id FROM segments_segment WHERE tenant_id = %s AND external_id = %s)",
                (tenant_id, segment_id),
            ),
            Sql(
                "assignment.customer_id ="
                " (SELECT id FROM accounts_customer WHERE tenant_id = %s AND external_id = %s)",
                (tenant_id, member.customer_id),
            ),
        ]
        if member.legal_entity_id is None:
            conditions.append(Sql("assignment.legal_entity_id IS NULL"))
        else:
            conditions.append(
                Sql(
                    "assignment.legal_entity_id ="
                    " (SELECT id FROM accounts_legalentity WHERE tenant_id = %s AND external_id = %s)",
                    (tenant_id, member.legal_entity_id),
                )
            )
        missing = NotFound(resource_id=member.customer_id)
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
            row=rows.read_customer_row(request.data, member),
            at=self.at,
        )
        return upsert_response(created=created)

    def delete_member(self, segment_id: str, member: Member) -> HttpResponse:
        operations.delete_customer_assignment(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, member=member
        )
        return HttpResponse(status=204)


class CustomerAssignmentViewSet(MemberViewSet):
    """Customers of a segment, alone (B2C) or for a legal entity (B2B)."""

    @operation(
        "GET-customer-segment-retrieve-customers",
        scopes=(SEGMENT_READ, SEGMENT_READ_OWN),
        parameters=(LEGAL_ENTITY_ID,),
    )
    def list(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """List the customers of a segment.

        Without customersegment.segment_read, the caller's own assignments that count.
        """
        shopper = self.own_shopper()
        if shopper is None:
            return self.members_response(segment_id, q=None)
        sight = self.own_sight_of(shopper, segment_id)
        window = open_at(self.at, "assignment")
        viewer = sight.context
        own = Sql(
            "assignment.customer_id = %s"
            " AND (assignment.legal_entity_id IS NULL OR assignment.legal_entity_id = %s)",
            (viewer.customer_id, viewer.legal_entity_id),
        )
        conditions = [*self.members_of(Sql("%s", sight.segment_ids)), own, window]
        return private_response_from(request, self.page_response(CUSTOMER_ASSIGNMENT, conditions))

    @operation("POST-customer-segment-search-customers", scopes=READ)
    def search(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Search the customers of a segment."""
        return self.members_response(segment_id, q=self.search_text())

    def members_response(self, segment_id: str, *, q: str | None) -> HttpResponse:
        return self.page_response(
            CUSTOMER_ASSIGNMENT,
            self.members_of(self.segment_key(segment_id)),
            q=q,
            keeps_plan=True,
            when_empty=partial(self.require_segment, segment_id),
        )

    def members_of(self, segment: Sql) -> Sequence[Sql]:
        """Return the conditions of the assignments to a segment, whose key is given as an expression."""
        of_segment = Sql(f"assignment.segment_id = {segment.sql}", segment.params)
        return [self.tenant_condition("assignment"), of_segment]

    @operation("GET-customer-segment-retrieve-customer-by-customerId", scopes=READ)
    def retrieve(self, request: Request, tenant: str, segment_id: str, customer_id: str) -> HttpResponse:
        """Read the B2C assignment of a customer."""
        return self.member_response(segment_id, Member(customer_id))

    @operation(
        "PUT-customer-segment-update-customer-by-customerId",
        scopes=MANAGE,
        request=serializers.AssignmentUpsert,
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
        request=serializers.CustomerAssignmentUpsertBulk(many=True),
    )
    def bulk_update(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Create or replace up to 200 assignments of customers."""
        written = operations.upsert_customer_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            rows=rows.read_rows(read_batch(request.data), rows.read_bulk_customer_row),
            at=self.at,
        )
        return multi_status(written)

    @operation("DELETE-customer-segment-remove-customers-bulk", scopes=MANAGE)
    def bulk_destroy(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Delete up to 200 assignments of customers."""
        deleted = operations.delete_customer_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            members=rows.read_rows(read_batch(request.data), rows.read_member),
        )
        return multi_status(deleted)


class LegalEntityCustomerViewSet(MemberViewSet):
    """Customers of a segment for a legal entity (B2B)."""

    @operation(
        "GET-customer-segment-retrieve-customer",
        scopes=READ,
        responses={200: serializers.CustomerAssignmentResponse},
    )
    def retrieve(
        self, request: Request, tenant: str, segment_id: str, customer_id: str, legal_entity_id: str
    ) -> HttpResponse:
        """Read the assignment of a customer for a legal entity."""
        return self.member_response(segment_id, Member(customer_id, legal_entity_id))

    @operation("PUT-customer-segment-update-customer", scopes=MANAGE, request=serializers.AssignmentUpsert)
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
