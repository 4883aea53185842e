from collections.abc import Sequence
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from core.api import parameters
from core.api.bulk import multi_status, read_batch
from core.api.conditional import answer_made_privately
from core.errors import NotFound
from core.sql.composition import Sql
from core.windows import open_at
from segments import bodies as rows
from segments.api import serializers
from segments.api.viewsets.base import (
    CUSTOMER,
    LEGAL_ENTITY,
    LEGAL_ENTITY_ID,
    LIST_PARAMETERS,
    READ_ERRORS,
    SEARCH_PARAMETERS,
    SEGMENT_ID,
    SegmentServiceViewSet,
    segment_operation,
    upsert_answer,
)
from segments.operations import customers as operations
from segments.operations.customers import Member
from segments.representations import CUSTOMER_ASSIGNMENT

TAGS = ["Customers Assignments"]
READ = (SEGMENT_READ,)
MANAGE = (SEGMENT_MANAGE,)
WRITE_ERRORS = (400, 401, 403, 404, 409)


class CustomerAssignmentViewSet(SegmentServiceViewSet):
    """Customers of a segment, alone (B2C) or for a legal entity (B2B)."""

    @segment_operation(
        "GET-customer-segment-retrieve-customers",
        summary="List the customers of a segment",
        tags=TAGS,
        scopes=(SEGMENT_READ, SEGMENT_READ_OWN),
        description="Without customersegment.segment_read, the caller's own assignments that count.",
        parameters=[parameters.TENANT, SEGMENT_ID, *LIST_PARAMETERS, LEGAL_ENTITY_ID],
        responses={200: serializers.CustomerAssignmentResponse(many=True)},
        errors=READ_ERRORS,
    )
    def list(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        shopper = self.own_shopper()
        if shopper is None:
            return self.answer_members(path["segmentId"], q=None)
        sight = self.own_sight_of(shopper, path["segmentId"])
        window = open_at(self.at, "assignment")
        viewer = sight.context
        own = Sql(
            "assignment.customer_id = %s"
            " AND (assignment.legal_entity_id IS NULL OR assignment.legal_entity_id = %s)",
            (viewer.customer_id, viewer.legal_entity_id),
        )
        conditions = [*self.members_of(Sql("%s", sight.segment_ids)), own, window]
        return answer_made_privately(request, self.answer_page(CUSTOMER_ASSIGNMENT, conditions))

    @segment_operation(
        "POST-customer-segment-search-customers",
        summary="Search the customers of a segment",
        tags=TAGS,
        scopes=READ,
        parameters=[parameters.TENANT, SEGMENT_ID, *SEARCH_PARAMETERS],
        request=serializers.SearchBody,
        responses={200: serializers.CustomerAssignmentResponse(many=True)},
        errors=READ_ERRORS,
    )
    def search(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.answer_members(path["segmentId"], q=self.search_text())

    def answer_members(self, segment_id: str, *, q: str | None) -> HttpResponse:
        return self.answer_page(
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

    @segment_operation(
        "GET-customer-segment-retrieve-customer-by-customerId",
        summary="Read the B2C assignment of a customer",
        tags=TAGS,
        scopes=READ,
        parameters=[parameters.TENANT, SEGMENT_ID, CUSTOMER, parameters.FIELDS],
        responses={200: serializers.CustomerAssignmentResponse},
        errors=READ_ERRORS,
    )
    def retrieve(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.answer_member(path["segmentId"], Member(path["customerId"]))

    @segment_operation(
        "PUT-customer-segment-update-customer-by-customerId",
        summary="Create or replace the B2C assignment of a customer",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, CUSTOMER],
        request=serializers.AssignmentUpsert,
        responses={201: None, 204: None},
        errors=WRITE_ERRORS,
    )
    def upsert(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.upsert_member(request, path["segmentId"], Member(path["customerId"]))

    @segment_operation(
        "DELETE-customer-segment-remove-customer-by-customerId",
        summary="Delete the B2C assignment of a customer",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, CUSTOMER],
        responses={204: None},
    )
    def destroy(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.delete_member(path["segmentId"], Member(path["customerId"]))

    @segment_operation(
        "GET-customer-segment-retrieve-customer",
        summary="Read the assignment of a customer for a legal entity",
        tags=TAGS,
        scopes=READ,
        parameters=[parameters.TENANT, SEGMENT_ID, CUSTOMER, LEGAL_ENTITY, parameters.FIELDS],
        responses={200: serializers.CustomerAssignmentResponse},
        errors=READ_ERRORS,
    )
    def retrieve_b2b(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.answer_member(path["segmentId"], Member(path["customerId"], path["legalEntityId"]))

    @segment_operation(
        "PUT-customer-segment-update-customer",
        summary="Create or replace the assignment of a customer for a legal entity",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, CUSTOMER, LEGAL_ENTITY],
        request=serializers.AssignmentUpsert,
        responses={201: None, 204: None},
        errors=WRITE_ERRORS,
    )
    def upsert_b2b(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.upsert_member(
            request, path["segmentId"], Member(path["customerId"], path["legalEntityId"])
        )

    @segment_operation(
        "DELETE-customer-segment-remove-customer",
        summary="Delete the assignment of a customer for a legal entity",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, CUSTOMER, LEGAL_ENTITY],
        responses={204: None},
    )
    def destroy_b2b(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.delete_member(path["segmentId"], Member(path["customerId"], path["legalEntityId"]))

    def answer_member(self, segment_id: str, member: Member) -> HttpResponse:
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
        return self.answer_one(CUSTOMER_ASSIGNMENT, conditions, missing=missing)

    def upsert_member(self, request: Request, segment_id: str, member: Member) -> HttpResponse:
        created = operations.upsert_customer_assignment(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            row=rows.read_customer_row(request.data, member),
            at=self.at,
        )
        return upsert_answer(created=created)

    def delete_member(self, segment_id: str, member: Member) -> HttpResponse:
        operations.delete_customer_assignment(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, member=member
        )
        return HttpResponse(status=204)

    @segment_operation(
        "PUT-customer-segment-update-customers-bulk",
        summary="Create or replace up to 200 assignments of customers",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID],
        request=serializers.CustomerAssignmentUpsertBulk(many=True),
        responses={207: serializers.BulkAssignmentResponse(many=True)},
        errors=READ_ERRORS,
    )
    def bulk_upsert(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        written = operations.upsert_customer_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=path["segmentId"],
            rows=rows.read_rows(read_batch(request.data), rows.read_bulk_customer_row),
            at=self.at,
        )
        return multi_status(written)

    @segment_operation(
        "DELETE-customer-segment-remove-customers-bulk",
        summary="Delete up to 200 assignments of customers",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID],
        request=serializers.MemberBody(many=True),
        responses={207: serializers.BulkAssignmentResponse(many=True)},
    )
    def bulk_destroy(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        deleted = operations.delete_customer_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=path["segmentId"],
            members=rows.read_rows(read_batch(request.data), rows.read_member),
        )
        return multi_status(deleted)
