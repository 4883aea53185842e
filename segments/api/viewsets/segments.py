from functools import partial

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from core.api import parameters
from core.api.json import multi_status, read_batch
from core.api.schema import operation
from core.bodies import SearchBody, read_bodies, read_body
from core.patches import KEPT_TIMES, apply_patch
from core.sql.composition import equals, param, sql
from segments.api.viewsets.base import (
    ID_LIST,
    LEGAL_ENTITY_ID,
    PREVIEW,
    SegmentServiceViewSet,
)
from segments.bodies import (
    BulkSegmentResult,
    IdentifiedSegmentBody,
    MatchBody,
    MatchItem,
    SegmentBody,
    SegmentCreated,
    read_ids,
    read_match,
    read_segment,
    segment_document,
)
from segments.effects import deletion_summary
from segments.errors import SegmentHasAssignments, SegmentNotFound
from segments.models import Segment
from segments.operations import segments as operations
from segments.representations import SEGMENT
from segments.visibility import matching_products_in, resolve

READ = (SEGMENT_READ, SEGMENT_READ_OWN)
MANAGE = (SEGMENT_MANAGE,)
FORCE_DELETE = parameters.query_parameter(
    "forceDelete", "Delete the assignments as well; without it a segment that has any stays.", type=bool
)
PROTECTED = ("/id", *KEPT_TIMES)


class SegmentViewSet(SegmentServiceViewSet):
    """Segments."""

    tag = "Segments"
    resource = SEGMENT
    created = SegmentCreated
    bulk_result = BulkSegmentResult
    search_body = SearchBody
    has_localized_fields = True
    shows_what_it_writes = True
    entry_arguments = {"segment_id": "id"}
    reads_localized_fields = True

    @operation("POST-customer-segment-create-segment", scopes=MANAGE, request=SegmentBody)
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a segment."""
        row = read_body(SegmentBody, request.data, languages=self.language_context(request))
        segment_id = operations.create_segment(tenant_id=self.caller.tenant.id, row=row, at=self.at)
        return self.created_response(segment_id)

    @operation(
        "GET-customer-segment-retrieve-segments",
        scopes=READ,
        parameters=PREVIEW,
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List segments."""
        return self.segments_response(q=None)

    @operation("POST-customer-segment-search-segments", scopes=READ, parameters=PREVIEW)
    def search(self, request: Request, tenant: str) -> HttpResponse:
        """Search segments."""
        return self.segments_response(q=self.search_text())

    def segments_response(self, *, q: str | None) -> HttpResponse:
        shopper, at = self.previewed()
        conditions = [self.tenant_condition("segment")]
        if shopper is None:
            return self.page_response(SEGMENT, conditions, q=q, keeps_plan=True)
        resolved = resolve(shopper, at=at)
        keys = param(list(resolved.segment_ids), "bigint[]")
        conditions.append(sql("segment.id = ANY({keys})", keys=keys))
        page = partial(self.page_response, SEGMENT, conditions, q=q, keeps_plan=True)
        return self.resolved_response(resolved.documents, page) if q is None else page()

    @operation("GET-customer-segment-retrieve-segment", scopes=READ, parameters=(LEGAL_ENTITY_ID,))
    def retrieve(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Read a segment."""
        shopper = self.own_shopper()
        conditions = [
            self.tenant_condition("segment"),
            equals("segment.external_id", segment_id),
        ]
        missing = partial(SegmentNotFound, resource_id=segment_id)
        if shopper is None:
            return self.document_response(SEGMENT, conditions, missing=missing)
        resolved = self.resolve_segment(shopper, segment_id)
        document = partial(self.document_response, SEGMENT, conditions, missing=missing)
        return self.resolved_response(resolved.documents, document)

    def locked_version(self) -> int | None:
        segment_id = self.kwargs["segment_id"]
        return operations.locked_versions(self.caller.tenant.id, [segment_id]).get(segment_id)

    @operation("PUT-customer-segment-update-segment", scopes=MANAGE, request=SegmentBody)
    def update(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Create or replace a segment."""
        row = read_segment(request.data, self.language_context(request), segment_id=segment_id)
        created = operations.upsert_segment(tenant_id=self.caller.tenant.id, row=row, at=self.at)
        return self.created_response(row.id) if created else HttpResponse(status=204)

    @operation("PATCH-customer-segment-update-segment", scopes=MANAGE)
    def partial_update(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Change parts of a segment.

        A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).
        """
        body, languages = request.data, self.language_context(request)

        def patched(segment: Segment) -> IdentifiedSegmentBody:
            document = apply_patch(segment_document(segment), body, protected=PROTECTED)
            return read_segment(document, languages, segment_id=segment_id)

        operations.change_segment(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, change=patched, at=self.at
        )
        return HttpResponse(status=204)

    @operation("DELETE-customer-segment-remove-segment", scopes=MANAGE, parameters=(FORCE_DELETE,))
    def destroy(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Delete a segment.

        Without `forceDelete` a segment that has customers or items stays, and `details.moreInfo` of the 400
        says what the deletion would do.
        """
        forces, tenant_id = parameters.flag(request.query_params, "forceDelete"), self.caller.tenant.id
        try:
            operations.delete_segment(tenant_id=tenant_id, segment_id=segment_id, forces=forces)
        except SegmentHasAssignments as refusal:
            refusal.more_info = deletion_summary(
                tenant_id, [segment_id], at=self.at, scopes=self.caller.scopes
            )
            raise
        return HttpResponse(status=204)

    @operation(
        "POST-customer-segment-create-segments-bulk",
        scopes=MANAGE,
        request=[SegmentBody],
    )
    def bulk_create(self, request: Request, tenant: str) -> HttpResponse:
        """Create up to 200 segments."""
        languages = self.language_context(request)
        rows = read_bodies(SegmentBody, read_batch(request.data), languages=languages)
        created = operations.create_segments(tenant_id=self.caller.tenant.id, rows=rows, at=self.at)
        return multi_status(created)

    @operation(
        "PUT-customer-segment-update-segments-bulk",
        scopes=MANAGE,
        request=[IdentifiedSegmentBody],
    )
    def bulk_update(self, request: Request, tenant: str) -> HttpResponse:
        """Create or replace up to 200 segments."""
        languages = self.language_context(request)
        rows = read_bodies(IdentifiedSegmentBody, read_batch(request.data), languages=languages)
        written = operations.upsert_segments(tenant_id=self.caller.tenant.id, rows=rows, at=self.at)
        return multi_status(written)

    @operation(
        "DELETE-customer-segment-remove-segments-bulk",
        scopes=MANAGE,
        parameters=(FORCE_DELETE,),
        request=ID_LIST,
    )
    def bulk_destroy(self, request: Request, tenant: str) -> HttpResponse:
        """Delete up to 200 segments.

        The body lists the ids. Without `forceDelete` segments that have customers or items stay, and
        `details.moreInfo` of their entries says what the deletion of these segments together would do.
        """
        tenant_id = self.caller.tenant.id
        deleted = operations.delete_segments(
            tenant_id=tenant_id,
            segment_ids=read_ids(read_batch(request.data)),
            forces=parameters.flag(request.query_params, "forceDelete"),
        )
        refused = {
            result.id: result.error for result in deleted if isinstance(result.error, SegmentHasAssignments)
        }
        if refused:
            summary = deletion_summary(tenant_id, list(refused), at=self.at, scopes=self.caller.scopes)
            for refusal in refused.values():
                refusal.more_info = summary
        return multi_status(deleted)

    @operation(
        "POST-customer-segment-check-match",
        scopes=MANAGE,
        request=MatchBody,
        responses={200: [MatchItem]},
    )
    def match(self, request: Request, tenant: str) -> HttpResponse:
        """Find out which products segments hold."""
        wanted = read_match(request.data)
        matched = matching_products_in(
            tenant_id=self.caller.tenant.id,
            segment_ids=wanted.segment_ids,
            site_code=wanted.site_code,
            product_ids=[item.id for item in wanted.items],
            at=self.at,
        )
        body = orjson.dumps([{"id": product_id} for product_id in matched])
        return HttpResponse(body, content_type="application/json")
