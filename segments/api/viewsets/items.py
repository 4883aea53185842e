from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from core.api import parameters
from core.api.bulk import multi_status, read_batch
from core.errors import InvalidInput, NotFound
from core.representation.pages import KeyPartitions
from core.sql.composition import Sql
from core.windows import open_at
from segments import bodies as rows
from segments.api import serializers
from segments.api.trees import category_forest
from segments.api.viewsets.base import (
    ITEM,
    LEGAL_ENTITY_ID,
    LIST_PARAMETERS,
    PREVIEW,
    READ_ERRORS,
    SEARCH_PARAMETERS,
    SEGMENT_ID,
    SITE_CODE,
    TYPE,
    SegmentServiceViewSet,
    segment_operation,
    upsert_answer,
)
from segments.operations import items as operations
from segments.operations.items import ItemType
from segments.representations import ITEM_ASSIGNMENT
from segments.visibility import ResolvedSegments, effective, keys_of_segments, on_site, require_site, resolve

TAGS = ["Items Assignments"]
READ = (SEGMENT_READ, SEGMENT_READ_OWN)
MANAGE = (SEGMENT_MANAGE,)
WRITE_ERRORS = (400, 401, 403, 404, 409)
ONLY_ACTIVE = parameters.query_parameter(
    "onlyActive",
    "Only what counts now; always so without customersegment.segment_read.",
    type=bool,
)


class ItemAssignmentViewSet(SegmentServiceViewSet):
    """Products and categories of segments."""

    @segment_operation(
        "GET-customer-segment-retrieve-segments-items",
        summary="List the items of all segments",
        tags=TAGS,
        scopes=READ,
        parameters=[
            parameters.TENANT,
            *LIST_PARAMETERS,
            parameters.ACCEPT_LANGUAGE,
            SITE_CODE,
            ONLY_ACTIVE,
            *PREVIEW,
        ],
        responses={200: serializers.ItemAssignmentResponse(many=True)},
    )
    def list_across(self, request: Request, tenant: str) -> HttpResponse:
        shopper, at = self.viewing_shopper(), self.viewing_instant()
        site_code = parameters.text(request.query_params, "siteCode")
        only_active = parameters.flag(request.query_params, "onlyActive")
        if shopper is not None:
            sight = resolve(shopper, at=at, site_code=site_code)
            return self.answer_seen(sight, partial(self.answer_across, sight, at))
        conditions = [self.tenant_condition("assignment")]
        chosen = []
        if site_code:
            require_site(self.caller.tenant.id, site_code)
            chosen.append(on_site(self.caller.tenant.id, site_code))
        if only_active:
            chosen.append(effective(at))
            conditions.append(open_at(at, "assignment"))
        if chosen:
            conditions.append(self.items_of_segments(chosen))
        return self.answer_page(ITEM_ASSIGNMENT, conditions)

    @segment_operation(
        "GET-customer-segment-retrieve-category-trees",
        summary="Read the category trees of segments",
        tags=TAGS,
        scopes=(SEGMENT_READ_OWN, SEGMENT_READ),
        description="The categories of effective segments, and above them all that leads there.",
        parameters=[parameters.TENANT, parameters.ACCEPT_LANGUAGE, SITE_CODE, *PREVIEW],
        responses={200: serializers.CategoryTreeNode(many=True)},
    )
    def category_trees(self, request: Request, tenant: str) -> HttpResponse:
        shopper, at = self.viewing_shopper(), self.viewing_instant()
        site_code = parameters.text(request.query_params, "siteCode")
        tenant_id = self.caller.tenant.id

        def answer(segments: Sql) -> HttpResponse:
            forest = category_forest(
                tenant_id=tenant_id, segments=segments, at=at, languages=self.languages()
            )
            return HttpResponse(forest, content_type="application/json")

        if shopper is not None:
            sight = resolve(shopper, at=at, site_code=site_code)
            return self.answer_seen(sight, partial(answer, Sql("%s::bigint[]", (list(sight.segment_ids),))))
        if site_code:
            require_site(tenant_id, site_code)
        return answer(keys_of_segments(tenant_id, [effective(at), on_site(tenant_id, site_code)]))

    def answer_across(self, sight: ResolvedSegments, at: datetime) -> HttpResponse:
        """Answer a page of the items of all segments of the sight."""
        conditions = [self.tenant_condition("assignment"), open_at(at, "assignment")]
        parts = KeyPartitions.of_keys("segment_id", sight.segment_ids)
        return self.answer_page(ITEM_ASSIGNMENT, conditions, parts=parts, keeps_plan=True)

    def items_of(self, segment: Sql) -> Sequence[Sql]:
        """Return the conditions of the assignments to a segment, whose key is given as an expression."""
        of_segment = Sql(f"assignment.segment_id = {segment.sql}", segment.params)
        return [self.tenant_condition("assignment"), of_segment]

    def items_seen(self, sight: ResolvedSegments) -> Sequence[Sql]:
        """Return the conditions of the assignments that count in the one segment of the sight."""
        return [*self.items_of(Sql("%s", sight.segment_ids)), open_at(self.at, "assignment")]

    def items_of_segments(self, conditions: Sequence[Sql]) -> Sql:
        """The condition that an assignment's segment meets these conditions."""
        chosen = Sql.joined(" AND ", [self.tenant_condition("segment"), *conditions])
        return Sql(
            "assignment.segment_id IN"
            f" (SELECT segment.id FROM segments_segment AS segment WHERE {chosen.sql})",
            chosen.params,
        )

    @segment_operation(
        "GET-customer-segment-retrieve-segment-items",
        summary="List the items of a segment",
        tags=TAGS,
        scopes=READ,
        parameters=[
            parameters.TENANT,
            SEGMENT_ID,
            *LIST_PARAMETERS,
            parameters.ACCEPT_LANGUAGE,
            LEGAL_ENTITY_ID,
        ],
        responses={200: serializers.ItemAssignmentResponse(many=True)},
        errors=READ_ERRORS,
    )
    def list(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.answer_items(path["segmentId"], q=None)

    @segment_operation(
        "POST-customer-segment-search-items",
        summary="Search the items of a segment",
        tags=TAGS,
        scopes=READ,
        parameters=[
            parameters.TENANT,
            SEGMENT_ID,
            *SEARCH_PARAMETERS,
            parameters.ACCEPT_LANGUAGE,
            LEGAL_ENTITY_ID,
        ],
        request=serializers.SearchBody,
        responses={200: serializers.ItemAssignmentResponse(many=True)},
        errors=READ_ERRORS,
    )
    def search(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.answer_items(path["segmentId"], q=self.search_text())

    def answer_items(self, segment_id: str, *, q: str | None) -> HttpResponse:
        shopper = self.own_shopper()
        if shopper is None:
            return self.answer_page(
                ITEM_ASSIGNMENT,
                self.items_of(self.segment_key(segment_id)),
                q=q,
                keeps_plan=True,
                when_empty=partial(self.require_segment, segment_id),
            )
        sight = self.own_sight_of(shopper, segment_id)
        page = partial(self.answer_page, ITEM_ASSIGNMENT, self.items_seen(sight), q=q, keeps_plan=True)
        return self.answer_seen(sight, page) if q is None else page()

    @segment_operation(
        "GET-customer-segment-retrieve-item",
        summary="Read the assignment of an item",
        tags=TAGS,
        scopes=READ,
        parameters=[
            parameters.TENANT,
            SEGMENT_ID,
            ITEM,
            TYPE,
            parameters.FIELDS,
            parameters.ACCEPT_LANGUAGE,
            LEGAL_ENTITY_ID,
        ],
        responses={200: serializers.ItemAssignmentResponse},
        errors=READ_ERRORS,
    )
    def retrieve(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        item_type = read_type(path["type"])
        shopper = self.own_shopper()
        item = Sql(
            f"assignment.{item_type.column} = (SELECT item.id FROM {item_type.items.sql}"
            " item.tenant_id = %s AND item.external_id = %s)",
            (self.caller.tenant.id, path["itemId"]),
        )
        missing = NotFound(resource_id=path["itemId"])
        if shopper is None:
            segment = self.items_of_segments([Sql("segment.external_id = %s", (path["segmentId"],))])
            conditions = [self.tenant_condition("assignment"), segment, item]
            return self.answer_one(ITEM_ASSIGNMENT, conditions, missing=missing)
        sight = self.own_sight_of(shopper, path["segmentId"])
        conditions = [*self.items_seen(sight), item]
        return self.answer_seen(sight, partial(self.answer_one, ITEM_ASSIGNMENT, conditions, missing=missing))

    @segment_operation(
        "PUT-customer-segment-update-item",
        summary="Create or replace the assignment of an item",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, ITEM, TYPE],
        request=serializers.ItemAssignmentUpsert,
        responses={201: None, 204: None},
        errors=WRITE_ERRORS,
    )
    def upsert(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        created = operations.upsert_item_assignment(
            tenant_id=self.caller.tenant.id,
            segment_id=path["segmentId"],
            item_type=read_type(path["type"]),
            row=rows.read_item_row(request.data, item_id=path["itemId"]),
            at=self.at,
        )
        return upsert_answer(created=created)

    @segment_operation(
        "DELETE-customer-segment-remove-item",
        summary="Delete the assignment of an item",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, ITEM, TYPE],
        responses={204: None},
    )
    def destroy(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        operations.delete_item_assignment(
            tenant_id=self.caller.tenant.id,
            segment_id=path["segmentId"],
            item_type=read_type(path["type"]),
            item_id=path["itemId"],
        )
        return HttpResponse(status=204)

    @segment_operation(
        "PUT-customer-segment-update-items-bulk",
        summary="Create or replace up to 200 assignments of items",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, TYPE],
        request=serializers.ItemAssignmentUpsertBulk(many=True),
        responses={207: serializers.BulkAssignmentResponse(many=True)},
        errors=READ_ERRORS,
    )
    def bulk_upsert(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        written = operations.upsert_item_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=path["segmentId"],
            item_type=read_type(path["type"]),
            rows=rows.read_rows(read_batch(request.data), rows.read_bulk_item_row),
            at=self.at,
        )
        return multi_status(written)

    @segment_operation(
        "DELETE-customer-segment-remove-items-bulk",
        summary="Delete up to 200 assignments of items",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, SEGMENT_ID, TYPE],
        description="The body lists the ids of the items.",
        request={"application/json": {"type": "array", "items": {"type": "string"}}},
        responses={207: serializers.BulkAssignmentResponse(many=True)},
    )
    def bulk_destroy(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        deleted = operations.delete_item_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=path["segmentId"],
            item_type=read_type(path["type"]),
            item_ids=rows.read_rows(read_batch(request.data), rows.read_item_id),
        )
        return multi_status(deleted)


def read_type(text: str) -> ItemType:
    """Return the type of items that the path names."""
    try:
        return ItemType(text.upper())
    except ValueError:
        raise InvalidInput(
            f"The type of an item is PRODUCT or CATEGORY, not {text[:40]}.", field="type"
        ) from None
