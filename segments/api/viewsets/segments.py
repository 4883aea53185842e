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
from core.sql.composition import Sql
from core.timestamps import format_time
from segments import bodies as rows
from segments.api import serializers
from segments.api.match import read_match
from segments.api.viewsets.base import (
    AS_OF,
    CUSTOMER_ID,
    LEGAL_ENTITY_ID,
    LIST_PARAMETERS,
    READ_ERRORS,
    SEARCH_PARAMETERS,
    SEGMENT_ID,
    SegmentServiceViewSet,
    segment_operation,
    upsert_answer,
)
from segments.errors import SegmentNotFound
from segments.models import Segment
from segments.operations import segments as operations
from segments.operations.segments import SegmentRow
from segments.representations import SEGMENT
from segments.visibility import matching_products_in, resolve

TAGS = ["Segments"]
READ = (SEGMENT_READ, SEGMENT_READ_OWN)
MANAGE = (SEGMENT_MANAGE,)
FORCE_DELETE = parameters.query_parameter(
    "forceDelete", "Delete the assignments as well; without it a segment that has any stays.", type=bool
)
WRITE_ERRORS = (400, 401, 403, 409)
PROTECTED = ("/id", "/metadata/createdAt", "/metadata/modifiedAt")
PATCH_BODY = {
    "application/json": {
        "oneOf": [
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "op": {"type": "string", "enum": ["add", "remove", "replace"]},
                        "path": {"type": "string", "description": "A JSON pointer, such as /name/en."},
                        "value": {},
                    },
                    "required": ["op", "path"],
                },
            },
            {"type": "object", "additionalProperties": True},
        ]
    }
}


class SegmentViewSet(SegmentServiceViewSet):
    """Segments."""

    @segment_operation(
        "POST-customer-segment-create-segment",
        summary="Create a segment",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, parameters.CONTENT_LANGUAGE],
        request=serializers.SegmentCreation,
        responses={201: serializers.IdResponse},
        errors=WRITE_ERRORS,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        row = rows.read_new_segment(request.data, self.language_context(request))
        segment_id = operations.create_segment(tenant_id=self.caller.tenant.id, row=row, at=self.at)
        return upsert_answer(created=True, body=orjson.dumps({"id": segment_id}))

    @segment_operation(
        "GET-customer-segment-retrieve-segments",
        summary="List segments",
        tags=TAGS,
        scopes=READ,
        parameters=[
            parameters.TENANT,
            *LIST_PARAMETERS,
            parameters.ACCEPT_LANGUAGE,
            LEGAL_ENTITY_ID,
            CUSTOMER_ID,
            AS_OF,
        ],
        responses={200: serializers.SegmentResponse(many=True)},
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_segments(q=None)

    @segment_operation(
        "POST-customer-segment-search-segments",
        summary="Search segments",
        tags=TAGS,
        scopes=READ,
        parameters=[
            parameters.TENANT,
            *SEARCH_PARAMETERS,
            parameters.ACCEPT_LANGUAGE,
            LEGAL_ENTITY_ID,
            CUSTOMER_ID,
            AS_OF,
        ],
        request=serializers.SearchBody,
        responses={200: serializers.SegmentResponse(many=True)},
    )
    def search(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_segments(q=self.search_text())

    def answer_segments(self, *, q: str | None) -> HttpResponse:
        shopper, at = self.viewing_shopper(), self.viewing_instant()
        conditions = [self.tenant_condition("segment")]
        if shopper is None:
            return self.answer_page(SEGMENT, conditions, q=q, keeps_plan=True)
        sight = resolve(shopper, at=at)
        conditions.append(Sql("segment.id = ANY(%s::bigint[])", (list(sight.segment_ids),)))
        page = partial(self.answer_page, SEGMENT, conditions, q=q, keeps_plan=True)
        return self.answer_seen(sight, page) if q is None else page()

    @segment_operation(
        "GET-customer-segment-retrieve-segment",
        summary="Read a segment",
        tags=TAGS,
        scopes=READ,
        parameters=[
            parameters.TENANT,
            SEGMENT_ID,
            parameters.FIELDS,
            parameters.ACCEPT_LANGUAGE,
            LEGAL_ENTITY_ID,
        ],
        responses={200: serializers.SegmentResponse},
        errors=READ_ERRORS,
    )
    def retrieve(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        shopper = self.own_shopper()
        conditions = [
            self.tenant_condition("segment"),
            Sql("segment.external_id = %s", (path["segmentId"],)),
        ]
        missing = SegmentNotFound(resource_id=path["segmentId"])
        if shopper is None:
            return self.answer_one(SEGMENT, conditions, missing=missing)
        sight = self.own_sight_of(shopper, path["segmentId"])
        return self.answer_seen(sight, partial(self.answer_one, SEGMENT, conditions, missing=missing))

    @segment_operation(
        "PUT-customer-segment-update-segment",
        summary="Create or replace a segment",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, parameters.CONTENT_LANGUAGE],
        request=serializers.SegmentUpdate,
        responses={201: serializers.IdResponse, 204: None},
        errors=WRITE_ERRORS,
    )
    def upsert(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        row = rows.read_named_segment(
            request.data, self.language_context(request), segment_id=path["segmentId"]
        )
        created = operations.upsert_segment(tenant_id=self.caller.tenant.id, row=row, at=self.at)
        return upsert_answer(created=created, body=orjson.dumps({"id": path["segmentId"]}))

    @segment_operation(
        "PATCH-customer-segment-update-segment",
        summary="Change parts of a segment",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, parameters.CONTENT_LANGUAGE],
        description="A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).",
        request=PATCH_BODY,
        responses={204: None},
        errors=(400, 401, 403, 404, 409),
    )
    def patch(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        body, languages = request.data, self.language_context(request)

        def patched(segment: Segment) -> SegmentRow:
            document = apply_patch(segment_document(segment), body, protected=PROTECTED)
            return rows.read_segment(document, languages, segment_id=path["segmentId"])

        operations.change_segment(
            tenant_id=self.caller.tenant.id, segment_id=path["segmentId"], change=patched, at=self.at
        )
        return HttpResponse(status=204)

    @segment_operation(
        "DELETE-customer-segment-remove-segment",
        summary="Delete a segment",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, FORCE_DELETE],
        responses={204: None},
    )
    def destroy(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        forces = parameters.flag(request.query_params, "forceDelete")
        operations.delete_segment(
            tenant_id=self.caller.tenant.id, segment_id=path["segmentId"], forces=forces
        )
        return HttpResponse(status=204)

    @segment_operation(
        "POST-customer-segment-create-segments-bulk",
        summary="Create up to 200 segments",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, parameters.CONTENT_LANGUAGE],
        request=serializers.SegmentCreation(many=True),
        responses={207: serializers.BulkResponse(many=True)},
    )
    def bulk_create(self, request: Request, tenant: str) -> HttpResponse:
        read = partial(rows.read_new_segment, languages=self.language_context(request))
        created = operations.create_segments(
            tenant_id=self.caller.tenant.id, rows=rows.read_rows(read_batch(request.data), read), at=self.at
        )
        return multi_status(created)

    @segment_operation(
        "PUT-customer-segment-update-segments-bulk",
        summary="Create or replace up to 200 segments",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, parameters.CONTENT_LANGUAGE],
        request=serializers.SegmentUpdateBulk(many=True),
        responses={207: serializers.BulkResponse(many=True)},
    )
    def bulk_upsert(self, request: Request, tenant: str) -> HttpResponse:
        read = partial(rows.read_identified_segment, languages=self.language_context(request))
        written = operations.upsert_segments(
            tenant_id=self.caller.tenant.id, rows=rows.read_rows(read_batch(request.data), read), at=self.at
        )
        return multi_status(written)

    @segment_operation(
        "DELETE-customer-segment-remove-segments-bulk",
        summary="Delete up to 200 segments",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, FORCE_DELETE],
        description="The body lists the ids.",
        request={"application/json": {"type": "array", "items": {"type": "string"}}},
        responses={207: serializers.BulkResponse(many=True)},
    )
    def bulk_destroy(self, request: Request, tenant: str) -> HttpResponse:
        segment_ids = rows.read_rows(read_batch(request.data), rows.read_deleted_segment)
        deleted = operations.delete_segments(
            tenant_id=self.caller.tenant.id,
            segment_ids=segment_ids,
            forces=parameters.flag(request.query_params, "forceDelete"),
        )
        return multi_status(deleted)

    @segment_operation(
        "POST-customer-segment-check-match",
        summary="Find out which products segments hold",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT],
        request=serializers.MatchBody,
        responses={200: serializers.MatchItem(many=True)},
    )
    def match(self, request: Request, tenant: str) -> HttpResponse:
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
