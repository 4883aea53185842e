from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from core.api import parameters
from core.api.bulk import multi_status, read_batch
from core.api.patches import apply_patch
from core.api.schema import operation
from core.sql.composition import Sql
from core.timestamps import format_time
from segments import bodies as rows
from segments.api import serializers
from segments.api.match import read_match
from segments.api.viewsets.base import (
    LEGAL_ENTITY_ID,
    PREVIEW,
    SegmentServiceViewSet,
    upsert_response,
)
from segments.errors import SegmentNotFound
from segments.models import Segment
from segments.operations import segments as operations
from segments.operations.segments import SegmentRow
from segments.representations import SEGMENT
from segments.visibility import matching_products_in, resolve

READ = (SEGMENT_READ, SEGMENT_READ_OWN)
MANAGE = (SEGMENT_MANAGE,)
FORCE_DELETE = parameters.query_parameter(
    "forceDelete", "Delete the assignments as well; without it a segment that has any stays.", type=bool
)
PROTECTED = ("/id", "/metadata/createdAt", "/metadata/modifiedAt")


class SegmentViewSet(SegmentServiceViewSet):
    """Segments."""

    tag = "Segments"
    resource = serializers.SegmentResponse
    created = serializers.IdResponse
    bulk_result = serializers.BulkResponse
    search_body = serializers.SearchBody
    has_localized_fields = True
    reads_localized_fields = True

    @operation("POST-customer-segment-create-segment", scopes=MANAGE, request=serializers.SegmentCreation)
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a segment."""
        row = rows.read_new_segment(request.data, self.language_context(request))
        segment_id = operations.create_segment(tenant_id=self.caller.tenant.id, row=row, at=self.at)
        return upsert_response(created=True, body=orjson.dumps({"id": segment_id}))

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
        shopper, at = self.viewing_shopper(), self.viewing_instant()
        conditions = [self.tenant_condition("segment")]
        if shopper is None:
            return self.page_response(SEGMENT, conditions, q=q, keeps_plan=True)
        sight = resolve(shopper, at=at)
        conditions.append(Sql("segment.id = ANY(%s::bigint[])", (list(sight.segment_ids),)))
        page = partial(self.page_response, SEGMENT, conditions, q=q, keeps_plan=True)
        return self.seen_response(sight, page) if q is None else page()

    @operation("GET-customer-segment-retrieve-segment", scopes=READ, parameters=(LEGAL_ENTITY_ID,))
    def retrieve(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Read a segment."""
        shopper = self.own_shopper()
        conditions = [
            self.tenant_condition("segment"),
            Sql("segment.external_id = %s", (segment_id,)),
        ]
        missing = SegmentNotFound(resource_id=segment_id)
        if shopper is None:
            return self.document_response(SEGMENT, conditions, missing=missing)
        sight = self.own_sight_of(shopper, segment_id)
        return self.seen_response(
            sight, partial(self.document_response, SEGMENT, conditions, missing=missing)
        )

    def locked_version(self) -> int | None:
        segment_id = self.kwargs["segment_id"]
        return operations.locked_versions(self.caller.tenant.id, [segment_id]).get(segment_id)

    @operation("PUT-customer-segment-update-segment", scopes=MANAGE, request=serializers.SegmentUpdate)
    def update(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Create or replace a segment."""
        row = rows.read_named_segment(request.data, self.language_context(request), segment_id=segment_id)
        created = operations.upsert_segment(tenant_id=self.caller.tenant.id, row=row, at=self.at)
        return upsert_response(created=created, body=orjson.dumps({"id": segment_id}))

    @operation("PATCH-customer-segment-update-segment", scopes=MANAGE)
    def partial_update(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Change parts of a segment.

        A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).
        """
        body, languages = request.data, self.language_context(request)

        def patched(segment: Segment) -> SegmentRow:
            document = apply_patch(segment_document(segment), body, protected=PROTECTED)
            return rows.read_segment(document, languages, segment_id=segment_id)

        operations.change_segment(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, change=patched, at=self.at
        )
        return HttpResponse(status=204)

    @operation("DELETE-customer-segment-remove-segment", scopes=MANAGE, parameters=(FORCE_DELETE,))
    def destroy(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Delete a segment."""
        forces = parameters.flag(request.query_params, "forceDelete")
        operations.delete_segment(tenant_id=self.caller.tenant.id, segment_id=segment_id, forces=forces)
        return HttpResponse(status=204)

    @operation(
        "POST-customer-segment-create-segments-bulk",
        scopes=MANAGE,
        request=serializers.SegmentCreation(many=True),
    )
    def bulk_create(self, request: Request, tenant: str) -> HttpResponse:
        """Create up to 200 segments."""
        read = partial(rows.read_new_segment, languages=self.language_context(request))
        created = operations.create_segments(
            tenant_id=self.caller.tenant.id, rows=rows.read_rows(read_batch(request.data), read), at=self.at
        )
        return multi_status(created)

    @operation(
        "PUT-customer-segment-update-segments-bulk",
        scopes=MANAGE,
        request=serializers.SegmentUpdateBulk(many=True),
    )
    def bulk_update(self, request: Request, tenant: str) -> HttpResponse:
        """Create or replace up to 200 segments."""
        read = partial(rows.read_identified_segment, languages=self.language_context(request))
        written = operations.upsert_segments(
            tenant_id=self.caller.tenant.id, rows=rows.read_rows(read_batch(request.data), read), at=self.at
        )
        return multi_status(written)

    @operation("DELETE-customer-segment-remove-segments-bulk", scopes=MANAGE, parameters=(FORCE_DELETE,))
    def bulk_destroy(self, request: Request, tenant: str) -> HttpResponse:
        """Delete up to 200 segments.

        The body lists the ids.
        """
        segment_ids = rows.read_rows(read_batch(request.data), rows.read_deleted_segment)
        deleted = operations.delete_segments(
            tenant_id=self.caller.tenant.id,
            segment_ids=segment_ids,
            forces=parameters.flag(request.query_params, "forceDelete"),
        )
        return multi_status(deleted)

    @operation(
        "POST-customer-segment-check-match",
        scopes=MANAGE,
        request=serializers.MatchBody,
        responses={200: serializers.MatchItem(many=True)},
    )
    def match(self, request: Request, tenant: str) -> HttpResponse:
        """Find out which products segments hold."""
        wanted = read_match(request.data)
        matched = matching_products_in(
            tenant_id=self.caller.tenant.id,
            segment_ids=wanted.segment_ids,
            site_code=wanted.site_code,
            product_ids=wanted.product_ids,
            at=self.at,
        )
        return HttpResponse(
            orjson.dumps(in_order(wanted.product_ids, matched)), content_type="application/json"
        )


def in_order(product_ids: Sequence[str], matched: frozenset[str]) -> list[dict[str, str]]:
    """Return the products that matched as the client named them: in its order, each once."""
    return [{"id": product_id} for product_id in dict.fromkeys(product_ids) if product_id in matched]


def segment_document(segment: Segment) -> dict[str, Any]:
    """Return what clients see of the segment, as a patch changes it; its window exact to the microsecond."""
    window = {"from": segment.valid_from, "to": segment.valid_to}
    return {
        "id": segment.external_id,
        "name": segment.name,
        "description": segment.description,
        "validity": {end: moment.isoformat() for end, moment in window.items() if moment},
        "status": segment.status,
        "siteCode": segment.site.code,
        "mixins": segment.mixins,
        "metadata": {
            "createdAt": format_time(segment.created_at),
            "modifiedAt": format_time(segment.modified_at),
            "version": segment.version,
            "mixins": segment.mixin_schemas,
        },
    }
