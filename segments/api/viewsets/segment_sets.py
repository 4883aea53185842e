from functools import partial
from typing import Annotated

import msgspec
from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_SET_READ, SEGMENT_SET_READ_OWN
from catalog.errors import CategoryNotFound
from catalog.representations import ASSIGNMENT
from catalog.subtrees import descendants_among, is_shown
from core.api import parameters
from core.api.conditional import kept_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.bodies import Body
from core.errors import InvalidInput
from core.representation.pages import KeyPartitions
from core.sql.composition import Sql, param, sql
from core.timestamps import format_time
from segments.api.viewsets.base import LEGAL_ENTITY_ID, SITE_CODE
from segments.api.viewsets.items import ItemAssignmentViewSet
from segments.assortment import categories_in_assortment
from segments.cache_groups import TREE, segment_group, tenant_group
from segments.category_trees import CATEGORY_NODE
from segments.customer_context import shopper_of
from segments.representations import ITEM_ASSIGNMENT
from segments.segment_sets import SharedSet, issue_set, shared_set

READ = (SEGMENT_SET_READ,)
CATEGORY_ID = query_parameter("categoryId", "The category whose products are read.", required=True)


class SegmentSetKey(Body, kw_only=True):
    """The key by which a customer reads what everybody of the same segments reads."""

    key: Annotated[str, Meta(description="The key of the set of segments. It says nothing about them.")]
    expires_at: Annotated[str, Meta(description="When to ask for a key again; 15 minutes away at most.")]


class SegmentSetViewSet(ItemAssignmentViewSet):
    """Answers for a set of segments, which caches share among all customers of the set."""

    tag = "Segment sets"
    resource = ITEM_ASSIGNMENT

    @operation(
        "GET-customer-segment-retrieve-segment-set",
        scopes=(SEGMENT_SET_READ_OWN,),
        parameters=(SITE_CODE, LEGAL_ENTITY_ID),
        responses={200: SegmentSetKey},
    )
    def own_set(self, request: Request, tenant: str) -> HttpResponse:
        """Read the key of one's own segments.

        Its holders read what is shown to all of these segments below `segment-sets/{key}`, from any cache.
        """
        site_code, legal_entity_id = parameters.texts(request.query_params, "siteCode", "legalEntityId")
        shopper = shopper_of(self.caller, legal_entity_id=legal_entity_id)
        issued = issue_set(shopper, at=self.at, site_code=site_code)
        body = SegmentSetKey(key=issued.key, expires_at=format_time(issued.expires_at))
        response = HttpResponse(msgspec.json.encode(body), content_type="application/json")
        response["Cache-Control"] = "private, no-store"
        return response

    @operation("GET-customer-segment-retrieve-segment-set-items", scopes=READ, reads="list")
    def items(self, request: Request, tenant: str, set_key: str) -> HttpResponse:
        """List the items of a set of segments."""
        shared = shared_set(self.caller.tenant.id, set_key, at=self.at)
        return self.shared_response(shared, partial(self.across_response, shared.resolved, self.at))

    @operation(
        "GET-customer-segment-retrieve-segment-set-category-trees",
        scopes=READ,
        parameters=(parameters.ACCEPT_LANGUAGE, parameters.IF_NONE_MATCH),
        responses={200: [CATEGORY_NODE]},
    )
    def set_category_trees(self, request: Request, tenant: str, set_key: str) -> HttpResponse:
        """Read the category trees of a set of segments."""
        shared = shared_set(self.caller.tenant.id, set_key, at=self.at)
        segments = param(list(shared.resolved.segment_ids), "bigint[]")
        return self.shared_response(shared, partial(self.forest_response, segments, self.at))

    @operation(
        "GET-customer-segment-retrieve-segment-set-products",
        scopes=READ,
        reads="page",
        parameters=(CATEGORY_ID,),
        responses={200: [ASSIGNMENT]},
    )
    def products(self, request: Request, tenant: str, set_key: str) -> HttpResponse:
        """List the products of a category for a set of segments.

        What is assigned to the category and to those below it, as far as one of the segments holds the
        category.
        """
        category_id = parameters.text(request.query_params, "categoryId")
        if not category_id:
            raise InvalidInput("Name the category by categoryId.", field="categoryId")
        shared = shared_set(self.caller.tenant.id, set_key, at=self.at)
        return self.shared_response(shared, partial(self.products_response, shared, category_id))

    def products_response(self, shared: SharedSet, category_id: str) -> HttpResponse:
        """Return a page of the products of the category that the segments hold."""
        tenant_id = self.caller.tenant.id
        category = sql(
            "(SELECT category.id FROM catalog_category AS category WHERE category.tenant_id = {tenant}"
            " AND category.external_id = {id} AND category.parent_id IS NOT NULL AND {shown})",
            tenant=param(tenant_id),
            id=param(category_id),
            shown=is_shown(Sql("category.id")),
        )
        segments = param(list(shared.resolved.segment_ids), "bigint[]")
        held = categories_in_assortment(tenant_id, segments, at=self.at)
        below = descendants_among(held, category, shows_unpublished=False)
        return self.page_response(
            ASSIGNMENT,
            [self.tenant_condition("assignment")],
            q="",
            parts=KeyPartitions.of_selection("category_id", below),
            keeps_plan=True,
            when_empty=partial(self.require_key, category, CategoryNotFound(category_id)),
        )

    def shared_response(self, shared: SharedSet, answer: partial[HttpResponse]) -> HttpResponse:
        """Return the response with the headers by which caches keep it, and by which it is purged."""
        response = kept_response(
            self.request,
            [*shared.resolved.contents, *self.address()],
            answer,
            cache_control=f"public, max-age=0, s-maxage={shared.seconds}",
            vary="Accept-Language, Accept-Encoding",
        )
        groups = [
            tenant_group(self.caller.tenant.name),
            *map(segment_group, shared.segment_ids),
            TREE,
        ]
        response["Cache-Groups"] = ", ".join(f'"{group}"' for group in groups)
        response["Surrogate-Key"] = " ".join(groups)
        response["Cache-Tag"] = ",".join(groups)
        return response
