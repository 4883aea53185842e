from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ, SEGMENT_READ_OWN
from catalog.subtrees import is_shown
from core.api import parameters
from core.api.json import multi_status, read_batch
from core.api.schema import operation
from core.bodies import SearchBody, read_bodies
from core.errors import InvalidInput, NotFound
from core.representation.pages import KeyPartitions
from core.sql.composition import Sql, identifier, param, sql
from core.windows import open_at
from segments.api.viewsets.base import (
    ID_LIST,
    LEGAL_ENTITY_ID,
    PREVIEW,
    SITE_CODE,
    SegmentServiceViewSet,
)
from segments.bodies import (
    BulkAssignmentResult,
    ItemAssignmentBody,
    ItemBody,
    read_ids,
    read_item_assignment,
)
from segments.category_trees import CATEGORY_NODE, category_forest
from segments.operations import items as operations
from segments.operations.items import ItemType
from segments.representations import ITEM_ASSIGNMENT
from segments.visibility import ResolvedSegments, effective, keys_of_segments, on_site, require_site, resolve

READ = (SEGMENT_READ, SEGMENT_READ_OWN)
MANAGE = (SEGMENT_MANAGE,)
IS_SHOWN = is_shown(Sql("assignment.category_id"))
ONLY_ACTIVE = parameters.query_parameter(
    "onlyActive",
    "Only what counts now; always so without customersegment.segment_read.",
    type=bool,
)


class ItemAssignmentViewSet(SegmentServiceViewSet):
    """Products and categories of segments."""

    tag = "Items Assignments"
    resource = ITEM_ASSIGNMENT
    bulk_result = BulkAssignmentResult
    search_body = SearchBody
    has_localized_fields = True
    shows_what_it_writes = True
    entry_arguments = {"item_id": "id"}

    @operation(
        "GET-customer-segment-retrieve-segments-items",
        scopes=READ,
        reads="list",
        parameters=(SITE_CODE, ONLY_ACTIVE, *PREVIEW),
    )
    def list_across(self, request: Request, tenant: str) -> HttpResponse:
        """List the items of all segments."""
        shopper, at = self.previewed()
        site_code = parameters.text(request.query_params, "siteCode")
        only_active = parameters.flag(request.query_params, "onlyActive")
        if shopper is not None:
            resolved = resolve(shopper, at=at, site_code=site_code)
            return self.resolved_response(resolved.contents, partial(self.across_response, resolved, at))
        conditions = [self.tenant_condition("assignment")]
        chosen = []
        if site_code:
            require_site(self.caller.tenant.id, site_code)
            chosen.append(on_site(self.caller.tenant.id, site_code))
        if only_active:
            chosen.append(effective(at))
            conditions.append(open_at(at, "assignment"))
        if chosen:
            conditions.append(self.in_segments(chosen))
        return self.page_response(ITEM_ASSIGNMENT, conditions)

    def across_response(self, resolved: ResolvedSegments, at: datetime) -> HttpResponse:
        """Return a page of the items of all resolved segments."""
        conditions = [
            self.tenant_condition("assignment"),
            open_at(at, "assignment"),
            IS_SHOWN,
        ]
        partitions = KeyPartitions.of_keys("segment_id", resolved.segment_ids)
        return self.page_response(ITEM_ASSIGNMENT, conditions, parts=partitions, keeps_plan=True)

    def in_segments(self, conditions: Sequence[Sql]) -> Sql:
        """The condition that an assignment's segment meets these conditions."""
        return sql(
            "assignment.segment_id IN"
            " (SELECT segment.id FROM segments_segment AS segment WHERE {conditions})",
            conditions=Sql.joined(" AND ", [self.tenant_condition("segment"), *conditions]),
        )

    @operation(
        "GET-customer-segment-retrieve-category-trees",
        scopes=(SEGMENT_READ_OWN, SEGMENT_READ),
        parameters=(parameters.ACCEPT_LANGUAGE, SITE_CODE, *PREVIEW),
        responses={200: [CATEGORY_NODE]},
    )
    def category_trees(self, request: Request, tenant: str) -> HttpResponse:
        """Read the category trees of segments.

        The categories of effective segments, and all their ancestors.
        """
        shopper, at = self.previewed()
        site_code = parameters.text(request.query_params, "siteCode")
        tenant_id = self.caller.tenant.id
        if shopper is None:
            if site_code:
                require_site(tenant_id, site_code)
            segments = keys_of_segments(tenant_id, [effective(at), on_site(tenant_id, site_code)])
            return self.forest_response(segments, at)
        resolved = resolve(shopper, at=at, site_code=site_code)
        segments = param(list(resolved.segment_ids), "bigint[]")
        return self.resolved_response(resolved.contents, partial(self.forest_response, segments, at))

    def forest_response(self, segments: Sql, at: datetime) -> HttpResponse:
        """Return the category trees of the segments, whose keys are given as an expression."""
        forest = category_forest(
            tenant_id=self.caller.tenant.id, segments=segments, at=at, languages=self.languages()
        )
        return HttpResponse(forest, content_type="application/json")

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
                self.assignments_to(self.segment_key(segment_id)),
                q=q,
                keeps_plan=True,
                when_empty=partial(self.require_segment, segment_id),
            )
        resolved = self.resolve_segment(shopper, segment_id)
        conditions = self.effective_items(resolved)
        page = partial(self.page_response, ITEM_ASSIGNMENT, conditions, q=q, keeps_plan=True)
        return self.resolved_response(resolved.contents, page) if q is None else page()

    def effective_items(self, resolved: ResolvedSegments) -> Sequence[Sql]:
        """Return the conditions of the assignments that count now in the one segment that is resolved."""
        [key] = resolved.segment_ids
        return [
            *self.assignments_to(param(key)),
            open_at(self.at, "assignment"),
            IS_SHOWN,
        ]

    @operation("GET-customer-segment-retrieve-item", scopes=READ, parameters=(LEGAL_ENTITY_ID,))
    def retrieve(
        self, request: Request, tenant: str, segment_id: str, item_type: str, item_id: str
    ) -> HttpResponse:
        """Read the assignment of an item."""
        kind = read_type(item_type)
        shopper = self.own_shopper()
        item = sql(
            "assignment.{column} = (SELECT item.id FROM {items}"
            " item.tenant_id = {tenant} AND item.external_id = {id})",
            column=identifier(kind.column),
            items=kind.items,
            tenant=param(self.caller.tenant.id),
            id=param(item_id),
        )
        missing = partial(NotFound, resource_id=item_id)
        if shopper is None:
            conditions = [*self.assignments_to(self.segment_key(segment_id)), item]
            return self.document_response(ITEM_ASSIGNMENT, conditions, missing=missing)
        resolved = self.resolve_segment(shopper, segment_id)
        conditions = [*self.effective_items(resolved), item]
        document = partial(self.document_response, ITEM_ASSIGNMENT, conditions, missing=missing)
        return self.resolved_response(resolved.contents, document)

    def locked_version(self) -> int | None:
        return operations.locked_version(
            tenant_id=self.caller.tenant.id,
            segment_id=self.kwargs["segment_id"],
            item_type=read_type(self.kwargs["item_type"]),
            item_id=self.kwargs["item_id"],
        )

    @operation("PUT-customer-segment-update-item", scopes=MANAGE, request=ItemBody)
    def update(
        self, request: Request, tenant: str, segment_id: str, item_type: str, item_id: str
    ) -> HttpResponse:
        """Create or replace the assignment of an item."""
        created = operations.upsert_item_assignment(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            item_type=read_type(item_type),
            row=read_item_assignment(request.data, item_id=item_id),
            at=self.at,
        )
        return self.created_response() if created else HttpResponse(status=204)

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
        request=[ItemAssignmentBody],
    )
    def bulk_update(self, request: Request, tenant: str, segment_id: str, item_type: str) -> HttpResponse:
        """Create or replace up to 200 assignments of items."""
        written = operations.upsert_item_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            item_type=read_type(item_type),
            rows=read_bodies(ItemAssignmentBody, read_batch(request.data)),
            at=self.at,
        )
        return multi_status(written)

    @operation("DELETE-customer-segment-remove-items-bulk", scopes=MANAGE, request=ID_LIST)
    def bulk_destroy(self, request: Request, tenant: str, segment_id: str, item_type: str) -> HttpResponse:
        """Delete up to 200 assignments of items.

        The body lists the ids of the items.
        """
        deleted = operations.delete_item_assignments(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            item_type=read_type(item_type),
            item_ids=read_ids(read_batch(request.data)),
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
