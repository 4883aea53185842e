from functools import partial
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH
from catalog import bodies
from catalog.api import serializers
from catalog.api.filters import CategoryFilter
from catalog.api.viewsets.base import (
    CATEGORY_ID,
    LIST_PARAMETERS,
    MANAGE,
    READ_ERRORS,
    SHOW_UNPUBLISHED,
    CategoryServiceViewSet,
    category_operation,
    id_answer,
    key_in,
    require_category,
)
from catalog.errors import CategoryNotFound, InvalidCategory, RelativesNotFound
from catalog.models import Category
from catalog.operations import categories as operations
from catalog.operations.categories import CategoryDraft
from catalog.operations.publication import Publication
from catalog.representations import CATEGORY
from catalog.subtrees import ancestors, descendants
from core.api import parameters
from core.api.parameters import query_parameter
from core.api.patches import apply_patch
from core.representation.representations import SortKey
from core.sql.composition import Sql, in_queryset
from core.tenancy.identifiers import check_client_id
from core.timestamps import format_time

TAGS = ["Categories"]
PUBLISH = query_parameter(
    "publish", "Plays no part, but must agree with `published` in the body when both are there.", type=bool
)
SHOW_ROOTS = query_parameter("showRoots", "Show root categories alone.", type=bool)
FILTERS = (
    query_parameter("code", "The whole code, in any case."),
    query_parameter("localizedName", "A part of the name, in any case, in the accepted languages."),
    query_parameter("localizedDescription", "A part of the description."),
    query_parameter("localizedSlug", "A part of the slug."),
    query_parameter("ecn", "A whole external category number."),
    query_parameter("validityFrom", "Categories whose validity begins after this day (or instant)."),
    query_parameter("validityTo", "Categories whose validity ends before this day (or instant)."),
    query_parameter("metadataModifiedAt", "Categories that changed after this day (or instant)."),
    SHOW_ROOTS,
)
NARROWING = tuple(parameter.name for parameter in FILTERS)
DEPTH = query_parameter("depth", "How many levels below the category; 1 is its children alone.", type=int)
WITH_SUBCATEGORIES = query_parameter(
    "withSubcategories",
    "Delete all descendants too. Otherwise the children become root categories with their subtrees.",
    type=bool,
)
DEEPEST = 10_000
TREE_ORDER = (SortKey(Sql("category.lft"), "integer"),)
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
                        "path": {"type": "string", "description": "A JSON pointer, such as /code."},
                        "value": {},
                    },
                    "required": ["op", "path"],
                },
            },
            {"type": "object", "additionalProperties": True},
        ]
    }
}


class CategoryViewSet(CategoryServiceViewSet):
    """Categories."""

    @category_operation(
        "GET-category-tree-list-categories",
        summary="List categories",
        tags=TAGS,
        parameters=[parameters.TENANT, *FILTERS, SHOW_UNPUBLISHED, parameters.Q, *LIST_PARAMETERS],
        responses={200: serializers.CategoryResponse(many=True)},
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_categories(q=None)

    @category_operation(
        "POST-category-tree-search-categories",
        summary="Search categories",
        tags=TAGS,
        parameters=[parameters.TENANT, SHOW_ROOTS, SHOW_UNPUBLISHED, *LIST_PARAMETERS],
        request=serializers.CategorySearchBody,
        responses={200: serializers.CategoryResponse(many=True)},
    )
    def search(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_categories(q=self.search_text())

    def answer_categories(self, *, q: str | None) -> HttpResponse:
        conditions = self.visible(shows_unpublished=self.shows_unpublished())
        if any(self.query.get(name) for name in NARROWING):
            chosen = CategoryFilter(
                query=self.query,
                tenant=self.caller.tenant,
                accept_language=self.header("Accept-Language"),
            )
            conditions.append(in_queryset("category.id", chosen.categories()))
        if not parameters.flag(self.query, "showRoots"):
            return self.answer_page(CATEGORY, conditions, q=q)
        # The filter says so too, but only so plainly does PostgreSQL expect few rows.
        conditions.append(
            Sql(
                "category.parent_id ="
                " (SELECT id FROM catalog_category WHERE tenant_id = %s AND parent_id IS NULL)",
                (self.caller.tenant.id,),
            )
        )
        return self.answer_page(CATEGORY, conditions, q=q, order=TREE_ORDER)

    @category_operation(
        "GET-category-tree-retrieve-category",
        summary="Read a category",
        tags=TAGS,
        parameters=[
            parameters.TENANT,
            CATEGORY_ID,
            SHOW_UNPUBLISHED,
            parameters.FIELDS,
            parameters.ACCEPT_LANGUAGE,
        ],
        responses={200: serializers.CategoryResponse},
        errors=READ_ERRORS,
    )
    def retrieve(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        category_id = path["categoryId"]
        conditions = [
            *self.visible(shows_unpublished=self.shows_unpublished()),
            Sql("category.external_id = %s", (category_id,)),
        ]
        return self.answer_one(CATEGORY, conditions, missing=CategoryNotFound(category_id))

    @category_operation(
        "GET-category-tree-retrieve-category-parents",
        summary="List the categories above a category, from the root down",
        tags=TAGS,
        parameters=[parameters.TENANT, CATEGORY_ID, SHOW_UNPUBLISHED, *LIST_PARAMETERS],
        responses={200: serializers.CategoryResponse(many=True)},
        errors=READ_ERRORS,
    )
    def parents(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        shows_unpublished = self.shows_unpublished()
        missing = RelativesNotFound(path["categoryId"], relatives="parents", tenant=tenant)
        key = self.category_key(path["categoryId"], shows_unpublished=shows_unpublished)
        conditions = [
            *self.visible(shows_unpublished=shows_unpublished),
            key_in("category.id", ancestors(key)),
        ]
        found = partial(require_category, key, missing=missing)
        return self.answer_page(CATEGORY, conditions, q="", order=TREE_ORDER, when_empty=found)

    @category_operation(
        "GET-category-tree-list-subcategories",
        summary="List the categories below a category",
        tags=TAGS,
        parameters=[parameters.TENANT, CATEGORY_ID, DEPTH, SHOW_UNPUBLISHED, *LIST_PARAMETERS],
        description="In the order of the tree. What is unpublished is left out, with all below it.",
        responses={200: serializers.CategoryResponse(many=True)},
        errors=READ_ERRORS,
    )
    def subcategories(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        shows_unpublished = self.shows_unpublished()
        depth = parameters.whole_number(self.query, "depth", default=0, least=0, most=DEEPEST)
        missing = RelativesNotFound(path["categoryId"], relatives="subcategories", tenant=tenant)
        key = self.category_key(path["categoryId"], shows_unpublished=shows_unpublished)
        conditions = [
            *self.visible(shows_unpublished=shows_unpublished),
            key_in("category.id", descendants(key, depth=depth, shows_unpublished=shows_unpublished)),
        ]
        found = partial(require_category, key, missing=missing)
        return self.answer_page(CATEGORY, conditions, q="", order=TREE_ORDER, when_empty=found)

    @category_operation(
        "POST-category-tree-create-category",
        summary="Create a category",
        tags=TAGS,
        scopes=(CATEGORY_MANAGE, CATEGORY_PUBLISH),
        parameters=[parameters.TENANT, PUBLISH, parameters.CONTENT_LANGUAGE],
        description=f"Publishing it needs {CATEGORY_PUBLISH}.",
        request=serializers.CategoryCreation,
        responses={201: serializers.CategoryId},
        errors=(400, 401, 403, 409),
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        draft, _ = bodies.read_category(request.data, self.write_languages())
        chosen = request.data.get("id")
        self.check_publish_parameter(draft)
        category = operations.create_category(
            tenant_id=self.caller.tenant.id,
            external_id=None if chosen is None else check_client_id(chosen, field="id"),
            draft=draft,
            publication=self.publication(),
            at=self.at,
        )
        return id_answer(category.external_id)

    @category_operation(
        "PUT-category-tree-update-category",
        summary="Create or replace a category",
        tags=TAGS,
        scopes=(CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH),
        parameters=[parameters.TENANT, CATEGORY_ID, PUBLISH, parameters.CONTENT_LANGUAGE],
        description=f"Publishing it needs {CATEGORY_PUBLISH}, unpublishing it {CATEGORY_UNPUBLISH}.",
        request=serializers.CategoryUpdate,
        responses={201: serializers.CategoryId, 204: None},
        errors=(400, 401, 403, 404, 409),
    )
    def upsert(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        draft, version = bodies.read_category(request.data, self.write_languages())
        category_id = check_client_id(path["categoryId"], field="categoryId")
        if request.data.get("id") not in (None, category_id):
            raise InvalidCategory("The id in the body is not the one in the path", field="id")
        self.check_publish_parameter(draft)
        created = operations.upsert_category(
            tenant_id=self.caller.tenant.id,
            external_id=category_id,
            draft=draft,
            expected_version=version,
            publication=self.publication(),
            at=self.at,
        )
        return id_answer(category_id) if created else HttpResponse(status=204)

    @category_operation(
        "PATCH-category-tree-update-category",
        summary="Change parts of a category",
        tags=TAGS,
        scopes=(CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH),
        parameters=[parameters.TENANT, CATEGORY_ID, PUBLISH, parameters.CONTENT_LANGUAGE],
        description="A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).",
        request=PATCH_BODY,
        responses={204: None},
        errors=(400, 401, 403, 404, 409),
    )
    def patch(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        body, languages = request.data, self.write_languages()

        def edit(category: Category) -> tuple[CategoryDraft, int | None]:
            document = apply_patch(category_document(category), body, protected=PROTECTED)
            draft, version = bodies.read_category(document, languages, published_is_required=False)
            self.check_publish_parameter(draft)
            return draft, version

        operations.edit_category(
            tenant_id=self.caller.tenant.id,
            external_id=path["categoryId"],
            edit=edit,
            publication=self.publication(),
            at=self.at,
        )
        return HttpResponse(status=204)

    @category_operation(
        "DELETE-category-tree-remove-category",
        summary="Delete a category",
        tags=TAGS,
        scopes=MANAGE,
        parameters=[parameters.TENANT, CATEGORY_ID, WITH_SUBCATEGORIES],
        responses={204: None},
        errors=READ_ERRORS,
    )
    def destroy(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        recursive = parameters.flag(self.query, "recursive")  # the parameter's old name
        operations.delete_category(
            tenant_id=self.caller.tenant.id,
            external_id=path["categoryId"],
            with_subcategories=parameters.flag(self.query, "withSubcategories", default=recursive),
        )
        return HttpResponse(status=204)

    def publication(self) -> Publication:
        return Publication(
            may_publish=self.has_scope(CATEGORY_PUBLISH), may_unpublish=self.has_scope(CATEGORY_UNPUBLISH)
        )

    def check_publish_parameter(self, draft: CategoryDraft) -> None:
        """Refuse a `publish` parameter that contradicts the body."""
        if not self.query.get("publish"):
            return
        if draft.is_published not in (None, parameters.flag(self.query, "publish")):
            raise InvalidCategory(
                "Parameter 'publish' must match 'published' of the request body", field="publish"
            )


def category_document(category: Category) -> dict[str, Any]:
    """Return what clients see of the category, as a patch changes it; its window exact to the microsecond."""
    window = {"from": category.valid_from, "to": category.valid_to}
    document = {
        "id": category.external_id,
        "type": category.type,
        "localizedName": category.name,
        "localizedDescription": category.description,
        "localizedSlug": category.slug,
        "code": category.code,
        "ecn": [number.value for number in category.numbers.all()],
        "validity": {end: moment.isoformat() for end, moment in window.items() if moment},
        "position": category.position,
        "published": category.is_published,
        "ownClassificationMixins": category.own_classification_mixins,
        "mixins": category.mixins,
        "metadata": {
            "createdAt": format_time(category.created_at),
            "modifiedAt": format_time(category.modified_at),
            "version": category.version,
            "mixins": category.mixin_schemas,
        },
    }
    if not category.is_root:
        document["parentId"] = category.parent.external_id
    return document
