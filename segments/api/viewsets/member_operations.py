from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ
from core.api.json import json_response
from core.api.schema import operation
from core.bodies import read_body
from segments.api.viewsets.base import SegmentServiceViewSet
from segments.member_operations import MemberOperationBody, MemberOperationResult, operate, operation_state


class MemberOperationViewSet(SegmentServiceViewSet):
    """Copies, unions, intersections and differences of members."""

    tag = "Member Operations"
    has_page_parameters = False
    reads_localized_fields = True

    @operation(
        "POST-customer-segment-combine-members",
        scopes=(SEGMENT_MANAGE,),
        request=MemberOperationBody,
        responses={200: MemberOperationResult, 202: MemberOperationResult},
        errors=(404, 409),
    )
    def combine(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Add the members of other segments to a segment.

        Those of any segment of `from` who are in all of `and` and in none of `minus`; nobody is taken out.
        More than 20,000 are added in the background: 202 with the operation's id.
        """
        result = operate(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            body=read_body(MemberOperationBody, request.data, languages=self.language_context(request)),
            at=self.at,
        )
        return json_response(result, status=202 if result.state == "queued" else 200)

    @operation(
        "GET-customer-segment-retrieve-member-operation",
        scopes=(SEGMENT_READ,),
        responses={200: MemberOperationResult},
    )
    def state(self, request: Request, tenant: str, segment_id: str, operation_id: str) -> HttpResponse:
        """Read how far a member operation in the background is."""
        result = operation_state(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, operation_id=operation_id
        )
        return json_response(result)
