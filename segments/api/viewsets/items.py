from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from catalog.subtrees import is_shown
from core.api import parameters
from core.api.bulk import multi_status, read_batch
from core.api.schema import operation
from core.errors import InvalidInput, NotFound
from core.representation.pages import KeyPartitions
from core.sql.composition import Sql
from core.windows import open_at
from segments import bodies as rows
from segments.api import serializers
from segments.api.viewsets.base import (
    LEGAL_ENTITY_ID,
    PREVIEW,
    SITE_CODE,
    SegmentServiceViewSet,
    upsert_response,
)
from segments.category_trees import category_forest
from segments.operations import items as operations
from segments.operations.items import ItemType
from segments.representations import ITEM_ASSIGNMENT
from segments.visibility import ResolvedSegments, effective, keys_of_segments, on_site, require_site, resolve

READ = (SEGMENT_READ, SEGMENT_READ_OWN)
MANAGE = (SEGMENT_MANAGE,)
ONLY_ACTIVE = parameters.query_parameter(
    "onlyActive",
    "Only what counts now; always so without customersegment.segment_read.",
    type=bool,
)


class ItemAssignmentViewSet(SegmentServiceViewSet):
    """Products and categories of segments."""

    tag = "Items Assignments"
    resource = serializers.ItemAssignmentResponse
    bulk_result = serializers.BulkAssignmentResponse
    search_body = serializers.SearchBody
    has_localized_fields = True

    @operation(
        "GET-customer-segment-retrieve-segments-items",
        scopes=READ,
        reads="list",
        parameters=(SITE_CODE, ONLY_ACTIVE, *PREVIEW),
    )
    def list_across(self, request: Request, tenant: str) -> HttpResponse:
        """List the items of all segments."""
        shopper, at = self.viewing_shopper(), self.viewing_instant()
        site_code = parameters.text(request.query_params, "siteCode")
        only_active = parameters.flag(request.query_params, "onlyActive")
        if shopper is not None:
            sight = resolve(shopper, at=at, site_code=site_code)
            return self.seen_response(sight, partial(self.across_response, sight, at))
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
        return self.page_response(ITEM_ASSIGNMENT, conditions)

    @operation(
        "GET-customer-segment-retrieve-category-trees",
        scopes=(SEGMENT_READ_OWN, SEGMENT_READ),
        parameters=(parameters.ACCEPT_LANGUAGE, SITE_CODE, *PREVIEW),
        responses={200: serializers.CategoryTreeNode(many=True)},
    )
    def category_trees(self, request: Request, tenant: str) -> HttpResponse:
        """Read the category trees of segments.

        The categories of effective segments, and above them all that leads there.
        """
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
            return self.seen_response(sight, partial(answer, Sql("%s::bigint[]", (list(sight.segment_ids),))))
        if site_code:
            require_site(tenant_id, site_code)
        return answer(keys_of_segments(tenant_id, [effective(at), on_site(tenant_id, site_code)]))

    def across_response(self, sight: ResolvedSegments, at: datetime) -> HttpResponse:
        """Answer a page of the items of all segments of the sight."""
        conditions = [
            self.tenant_condition("assignment"),
            open_at(at, "assignment"),
            is_shown(Sql("assignment.category_id")),
        ]
        parts = KeyPartitions.of_keys("segment_id", sight.segment_ids)
        return self.page_response(ITEM_ASSIGNMENT, conditions, parts=parts, keeps_plan=True)

    def items_of(self, segment: Sql) -> Sequence[Sql]:
        """Return the conditions of the assignments to a segment, whose key is given as an expression."""
        of_segment = Sql(f"assignment.segment_id = {segment.sql}", segment.params)
        return [self.tenant_condition("assignment"), of_segment]

    def items_seen(self, sight: ResolvedSegments) -> Sequence[Sql]:
        """Return the conditions of the assignments that count in the one segment of the sight."""
        return [
            *self.items_of(Sql("%s", sight.segment_ids)),
            open_at(self.at, "assignment"),
            is_shown(Sql("assignment.category_id")),
        ]

    def items_of_segments(self, conditions: Sequence[Sql]) -> Sql:
        """The condition that an assignment's segment meets these conditions."""
        chosen = Sql.joined(" AND ", [self.tenant_condition("segment"), *conditions])
        return Sql(
            "assignment.segment_id IN"
            f" (SELECT segment.id FROM segments_segment AS segment WHERE {chosen.sql})",
            chosen.params,
        )

    @operation("GET-customer-segment-retrieve-segment-items", scopes=READ, parameters=(LEGAL_ENTITY_ID,))
    def list(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """List the items of a segment."""
        return self.items_response(segment_id, q=None)

    @operation("POST-customer-segment-search-items", scopes=READ, parameters=(LEGAL_ENTITY_ID,))
    def search(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Search the items of a segment."""
        return self.items_response(segment_id, q=self.search_text())

    def items_response(self, segment_id: str, *, q: str | None) -> HttpResponse:
        shopper = self.own_shopper()
        if shopper is None:
            return self.page_response(
                ITEM_ASSIGNMENT,
                self.items_of(self.segment_key(segment_id)),
                q=q,
                keeps_plan=True,
                when_empty=partial(self.require_segment, segment_id),
            )
        sight = self.own_sight_of(shopper, segment_id)
        page = partial(self.page_response, ITEM_ASSIGNMENT, self.items_seen(sight), q=q, keeps_plan=True)
        return self.seen_response(sight, page) if q is None else page()

    @operation("GET-customer-segment-retrieve-item", scopes=READ, parameters=(LEGAL_ENTITY_ID,))
    def retrieve(
        self, request: Request, tenant: str, segment_id: str, item_type: str, item_id: str
    ) -> HttpResponse:
        """Read the assignment of an item."""
        kind = read_type(item_type)
        shopper = self.own_shopper()
        item = Sql(
            f"assignment.{kind.column} = (SELECT item.id FROM {kind.items.sql}"
            " item.tenant_id = %s AND item.external_id = %s)",
            (self.caller.tenant.id, item_id),
        )
        missing = NotFound(resource_id=item_id)
        if shopper is None:
            segment = self.items_of_segments([Sql("segment.external_id = %s", (segment_id,))])
            conditions = [self.tenant_condition("assignment"), segment, item]
            return self.document_response(ITEM_ASSIGNMENT, conditions, missing=missing)
        sight = self.own_sight_of(shopper, segment_id)
        conditions = [*self.items_seen(sight), item]
        return self.seen_response(
            sight, partial(self.document_response, ITEM_ASSIGNMENT, conditions, missing=missing)
        )

    def locked_version(self) -> int | None:
        return operations.locked_version(
            tenant_id=self.caller.tenant.id,
            segment_id=self.kwargs["segment_id"],
            item_type=read_type(self.kwargs["item_type"]),
            item_id=self.kwargs["item_id"],
        )

    @operation("PUT-customer-segment-update-item", scopes=MANAGE, request=serializers.ItemAssignmentUpsert)
    def update(
        self, request: Request, tenant: str, segment_id: str, item_type: str, item_id: str
    ) -> HttpResponse:
        """Create or replace the assignment of an item."""
        created = operations.upsert_item_assignment(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            item_type=read_type(item_type),
            row=rows.read_item_row(request.data, item_id=item_id),
            at=self.at,
        )
        return upsert_response(created=created)

    @operation("DELETE-customer-segment-remove-item", scopes=MANAGE)
    def destroy(
        self, request: Request, tenant: str, segment_id: str, item_type: str, item_id: str
    ) -> HttpResponse:
        """Delete the assignment of an item."""
        operations.delete_item_assignment(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            item_type=read_type(item_type),
            item_id=item_id,
        )
        return HttpResponse(status=204)

    @operation(
        "PUT-customer-segment-update-items-bulk",
        scopes=MANAGE,
        request=serializers.ItemAssignmentUpsertBulk(many=True),
    )
    def bulk_update(self, request: Request, tenant: str, segment_id: str, item_type: str) -> HttpResponse:
        """Create or replace up to 200 assignments of items."""
        written = operations.upsert_item_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            item_type=read_type(item_type),
            rows=rows.read_rows(read_batch(request.data), rows.read_bulk_item_row),
            at=self.at,
        )
        return multi_status(written)

    @operation("DELETE-customer-segment-remove-items-bulk", scopes=MANAGE)
    def bulk_destroy(self, request: Request, tenant: str, segment_id: str, item_type: str) -> HttpResponse:
        """Delete up to 200 assignments of items.

        The body lists the ids of the items.
        """
        deleted = operations.delete_item_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            item_type=read_type(item_type),
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
