from collections.abc import Collection, Sequence
from functools import partial
from typing import Annotated

from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request

from catalog import extensions
from catalog.api.filters import AssignmentFilters
from catalog.api.viewsets.base import (
    MANAGE,
    SHOW_UNPUBLISHED,
    CategoryServiceViewSet,
    key_in,
    require_category,
)
from catalog.bodies import (
    AssignmentUpsertBody,
    CategoryAssignmentBody,
    CreatedId,
    read_assignments,
)
from catalog.errors import CategoriesOfReferenceNotFound, CategoryNotFound
from catalog.extensions import HeldCategories
from catalog.models import Product
from catalog.operations import assignments as operations
from catalog.operations.assignments import AssignmentResult
from catalog.representations import ASSIGNMENT, CATEGORY, CATEGORY_OF_REFERENCE
from catalog.revisions import OF_PLACEMENTS, OF_REFERENCES, PRODUCTS
from catalog.subtrees import descendants, descendants_among
from core.api import parameters
from core.api.json import multi_status, read_batch, result_status
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.bodies import Body, read_body
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.representation.pages import Along, KeyPartitions
from core.sql.composition import Sql, equals, param, sql

ASSIGNMENT_TYPE = query_parameter("assignmentType", "What is assigned: only products.", enum=["PRODUCT"])
FILTERS = (
    query_parameter("withSubcategories", "Also what is assigned to descendants.", type=bool),
    query_parameter(
        "segmentsIds", "Only categories that are assigned to one of these segments, separated by commas."
    ),
)
EXPAND = query_parameter("expandSupercategoriesIds", "Add `supercategoriesIds` to each category.", type=bool)
MOST_SEGMENTS = 200


class AssignmentResultBody(Body, kw_only=True):
    """What became of one entry of a bulk body."""

    index: Annotated[int, Meta(description="The entry's place in the body, from 0.")]
    code: Annotated[int, Meta(description="The status that the entry would have by itself.")]
    status: Annotated[str, Meta(description="The name of the status, such as CREATED.")]
    assignment_id: Annotated[str | None, Meta(description="The assignment, unless refused.")] = None
    product_id: Annotated[str | None, Meta(description="The product that the entry names.")] = None
    message: Annotated[str | None, Meta(description="Why the entry was refused.")] = None


class CategoryAssignmentViewSet(CategoryServiceViewSet):
    """Products in a category."""

    tag = "Category assignments"
    resource = ASSIGNMENT
    created = CreatedId
    bulk_result = AssignmentResultBody

    @operation(
        "GET-category-tree-retrieve-category-assignments",
        filters=AssignmentFilters,
        parameters=(ASSIGNMENT_TYPE, *FILTERS, SHOW_UNPUBLISHED),
    )
    def list(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """List what is assigned to a category."""
        check_type(self.query.get("assignmentType"))
        shows_unpublished = self.shows_unpublished()
        narrowing, needs = self.filter_conditions(languages=self.languages())
        subjects = (*OF_PLACEMENTS, PRODUCTS) if narrowing else OF_PLACEMENTS
        held = self.held_categories(subjects)
        answer = partial(
            self.assigned_response,
            category_id,
            shows_unpublished=shows_unpublished,
            narrowing=narrowing,
            needs=needs,
            held=held,
        )
        return self.state_response(held.state, answer) if held else self.revised_page(subjects, answer)

    def held_categories(self, subjects: Sequence[int]) -> HeldCategories | None:
        """Return the categories of the segments that the request names, if it names any."""
        segment_ids = parameters.words(self.query, "segmentsIds", most=MOST_SEGMENTS)
        if not segment_ids:
            return None
        return extensions.categories_of_segments(
            caller=self.caller, segment_ids=segment_ids, at=self.at, subjects=subjects
        )

    def assigned_response(
        self,
        category_id: str,
        *,
        shows_unpublished: bool,
        narrowing: Sequence[Sql],
        needs: Collection[str],
        held: HeldCategories | None,
        along: Along | None = None,
    ) -> HttpResponse:
        """Return a page of what is assigned to the category, or raise CategoryNotFound."""
        key = self.category_key(category_id, shows_unpublished=shows_unpublished)
        conditions, parts = self.of_categories(key, held, shows_unpublished=shows_unpublished)
        return self.page_response(
            ASSIGNMENT,
            [self.of_tenant(), *conditions, *narrowing],
            needs=needs,
            parts=parts,
            keeps_plan=True,
            when_empty=partial(require_category, key, missing=CategoryNotFound(category_id)),
            along=along,
        )

    def of_tenant(self) -> Sql:
        return equals("assignment.tenant_id", self.caller.tenant.id)

    def of_categories(
        self, key: Sql, held: HeldCategories | None, *, shows_unpublished: bool
    ) -> tuple[Sequence[Sql], KeyPartitions | None]:
        """Return the conditions on the category (which subtree, and which segments), or else the parts.

        Partitions are the categories of segments below the one of the key: few, each with many products.
        """
        column = "assignment.category_id"
        if parameters.flag(self.query, "withSubcategories"):
            if held is not None:
                below = descendants_among(held.keys(), key, shows_unpublished=shows_unpublished)
                return [], KeyPartitions.of_selection("category_id", below)
            below = descendants(key, shows_unpublished=shows_unpublished, with_itself=True)
            return [key_in(column, below)], None
        in_category = sql("assignment.category_id = {key}", key=key)
        return ([in_category] if held is None else [in_category, key_in(column, held.keys())]), None

    @operation("POST-category-tree-assign-resource", scopes=MANAGE, request=CategoryAssignmentBody)
    def create(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Assign a product to a category."""
        assignment_id = operations.assign_product(
            tenant_id=self.caller.tenant.id,
            category_id=category_id,
            product_id=read_body(CategoryAssignmentBody, request.data).ref.id,
            at=self.at,
        )
        return self.created_response(assignment_id)

    @operation(
        "POST-category-tree-assign-category-resources",
        scopes=MANAGE,
        request=[CategoryAssignmentBody],
    )
    def bulk_create(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Assign up to 200 products to a category."""
        return self.bulk_response(request.data, category_id, may_exist=False)

    @operation(
        "PUT-category-tree-update-category-assignments",
        scopes=MANAGE,
        request=[AssignmentUpsertBody],
    )
    def bulk_update(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Make sure that up to 200 products are assigned to a category."""
        return self.bulk_response(request.data, category_id, may_exist=True)

    def bulk_response(self, body: object, category_id: str, *, may_exist: bool) -> HttpResponse:
        rows = read_assignments(
            AssignmentUpsertBody if may_exist else CategoryAssignmentBody, read_batch(body)
        )
        results = operations.assign_products_in_bulk(
            tenant_id=self.caller.tenant.id,
            category_id=category_id,
            products=rows,
            at=self.at,
            may_exist=may_exist,
        )
        entries = [bulk_entry(result) for result in results]
        return multi_status((result.outcome for result in results), lambda done: entries[done.position])

    @operation("PUT-category-tree-assign-resource", scopes=MANAGE)
    def update(self, request: Request, tenant: str, category_id: str, reference_id: str) -> HttpResponse:
        """Make sure that a product is assigned to a category."""
        assignment_id, created = operations.upsert_assignment(
            tenant_id=self.caller.tenant.id,
            category_id=category_id,
            product_id=reference_id,
            at=self.at,
        )
        return self.created_response(assignment_id) if created else HttpResponse(status=204)

    @operation("DELETE-category-tree-remove-category-assignment", scopes=MANAGE)
    def destroy(self, request: Request, tenant: str, category_id: str, assignment_id: str) -> HttpResponse:
        """Delete an assignment."""
        operations.remove_assignment(
            tenant_id=self.caller.tenant.id,
            category_id=category_id,
            assignment_id=assignment_id,
        )
        return HttpResponse(status=204)

    @operation("DELETE-category-tree-remove-category-assignment-by-reference-id", scopes=MANAGE)
    def destroy_by_reference(
        self, request: Request, tenant: str, category_id: str, reference_id: str
    ) -> HttpResponse:
        """Take a product out of a category."""
        operations.remove_product_from_category(
            tenant_id=self.caller.tenant.id, category_id=category_id, product_id=reference_id
        )
        return HttpResponse(status=204)

    @operation(
        "DELETE-category-tree-remove-all-category-assignments", scopes=MANAGE, parameters=(ASSIGNMENT_TYPE,)
    )
    def destroy_all(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Take all products out of a category."""
        check_type(self.query.get("assignmentType"))
        operations.remove_assignments_of_category(tenant_id=self.caller.tenant.id, category_id=category_id)
        return HttpResponse(status=204)


class ReferenceViewSet(CategoryServiceViewSet):
    """The categories of a product."""

    tag = "Category assignments"
    resource = CATEGORY

    @operation(
        "GET-category-tree-list-categories-by-reference-id",
        parameters=(SHOW_UNPUBLISHED, EXPAND),
        reads="page",
    )
    def list(self, request: Request, tenant: str, reference_id: str) -> HttpResponse:
        """List the categories of a product."""
        self.shows_unpublished()
        answer = partial(self.categories_response, reference_id)
        return self.revised_response(OF_REFERENCES, answer)

    def categories_response(self, reference_id: str) -> HttpResponse:
        """Return a page of the categories of a product, or raise CategoriesOfReferenceNotFound."""
        key = self.product_key(reference_id)
        expands = parameters.flag(self.query, "expandSupercategoriesIds")
        of_product = sql(
            "SELECT category_id FROM catalog_categoryassignment"
            " WHERE tenant_id = {tenant} AND product_id = {product}",
            tenant=param(self.caller.tenant.id),
            product=param(key),
        )
        conditions = [
            *self.visible(shows_unpublished=self.shows_unpublished()),
            key_in("category.id", of_product),
        ]
        return self.page_response(CATEGORY if expands else CATEGORY_OF_REFERENCE, conditions, q="")

    def product_key(self, product_id: str) -> int:
        product = Product.objects.filter(tenant=self.caller.tenant.id, external_id=product_id)
        key = product.order_by().values_list("pk", flat=True).first()
        if key is None:
            raise CategoriesOfReferenceNotFound(product_id)
        return key

    @operation("DELETE-category-tree-remove-all-assignments", scopes=MANAGE)
    def destroy(self, request: Request, tenant: str, reference_id: str) -> HttpResponse:
        """Take a product out of all categories."""
        operations.remove_product_everywhere(tenant_id=self.caller.tenant.id, product_id=reference_id)
        return HttpResponse(status=204)


def check_type(kind: str | None) -> None:
    if kind and kind.upper() != "PRODUCT":
        raise InvalidInput("assignmentType is PRODUCT; nothing else can be assigned.", field="assignmentType")


def bulk_entry(result: AssignmentResult) -> JsonObject:
    """One row's result as the category service says it: counted from 0, statuses in capitals on success."""
    outcome = result.outcome
    status = result_status(outcome)
    entry: JsonObject = {}
    if result.assignment_id and not outcome.error:
        entry["assignmentId"] = result.assignment_id
    if result.product_id:
        entry["productId"] = result.product_id
    entry["index"] = outcome.position
    entry["code"] = status.value
    entry["status"] = status.phrase if outcome.error else status.phrase.upper()
    if outcome.error:
        entry["message"] = outcome.error.message
    return entry
