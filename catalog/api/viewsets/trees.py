from collections.abc import Sequence

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_READ_UNPUBLISHED
from catalog.api import serializers
from catalog.api.trees import trees_json
from catalog.api.viewsets.base import (
    CATEGORY_ID,
    READ_ERRORS,
    SHOW_UNPUBLISHED,
    CategoryServiceViewSet,
    category_operation,
    json_text,
)
from catalog.bodies import read_category_ids
from catalog.errors import TreeNotFound
from catalog.operations.categories import rebuild_tree
from catalog.representations import DEPRECATED_TREE_FIELDS, TREE_FIELDS
from core.api import parameters
from core.api.error_schemas import TypedError
from core.api.errors import typed_shape
from core.api.parameters import path_parameter, query_parameter
from core.api.schema import operation
from core.errors import InvalidInput

TAGS = ["Category trees"]
CATEGORY_IDS = query_parameter(
    "categoryIds", "Only trees that hold one of these categories; repeated, or separated by commas."
)
ROOT_ID = path_parameter("rootCategoryId", "The id of a root category.")
MOST_IDS = 1_000


class CategoryTreeViewSet(CategoryServiceViewSet):
    """Trees of categories."""

    @category_operation(
        "GET-category-tree-retrieve-category-tree",
        summary="Read all category trees",
        tags=TAGS,
        parameters=[parameters.TENANT, SHOW_UNPUBLISHED, CATEGORY_IDS, parameters.ACCEPT_LANGUAGE],
        responses={200: serializers.CategoryTreeResponse(many=True)},
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        named = [word for entry in self.query.getlist("categoryIds") for word in entry.split(",")]
        category_ids = [word.strip() for word in named if word.strip()]
        if len(category_ids) > MOST_IDS:
            raise InvalidInput(f"categoryIds lists at most {MOST_IDS} ids.", field="categoryIds")
        return json_text(self.trees(category_ids=category_ids or None))

    @category_operation(
        "POST-category-tree-search-category-trees",
        summary="Find the trees that hold categories",
        tags=TAGS,
        parameters=[parameters.TENANT, SHOW_UNPUBLISHED, parameters.ACCEPT_LANGUAGE],
        request=serializers.TreeSearchBody,
        responses={200: serializers.CategoryTreeResponse(many=True)},
    )
    def search(self, request: Request, tenant: str) -> HttpResponse:
        return json_text(self.trees(category_ids=read_category_ids(request.data)))

    @category_operation(
        "GET-category-tree-retrieve-category-tree-by-id",
        summary="Read the tree of a root category",
        tags=TAGS,
        parameters=[parameters.TENANT, CATEGORY_ID, SHOW_UNPUBLISHED, parameters.ACCEPT_LANGUAGE],
        responses={200: serializers.CategoryTreeResponse},
        errors=READ_ERRORS,
    )
    def retrieve(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return json_text(self.tree(path["categoryId"]))

    @category_operation(
        "POST-category-tree-rebuild-category-tree",
        summary="Rebuild the tree of a root category",
        tags=TAGS,
        scopes=(CATEGORY_MANAGE, CATEGORY_READ_UNPUBLISHED),
        parameters=[parameters.TENANT, ROOT_ID, SHOW_UNPUBLISHED, parameters.ACCEPT_LANGUAGE],
        description="Computes the stored order of the tenant's trees anew and answers this one.",
        responses={200: serializers.CategoryTreeResponse},
        errors=READ_ERRORS,
    )
    def rebuild(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        self.shows_unpublished()
        rebuild_tree(tenant_id=self.caller.tenant.id, root_id=path["rootCategoryId"])
        return json_text(self.tree(path["rootCategoryId"]))

    def trees(self, *, category_ids: Sequence[str] | None = None, root_id: str | None = None) -> str:
        return trees_json(
            tenant_id=self.caller.tenant.id,
            fields=TREE_FIELDS,
            languages=self.languages(),
            shows_unpublished=self.shows_unpublished(),
            category_ids=category_ids,
            root_id=root_id,
        )

    def tree(self, root_id: str) -> str:
        """Return the one tree of this root as JSON text, or raise TreeNotFound."""
        trees = self.trees(root_id=root_id)
        if trees == "[]":
            raise TreeNotFound(root_id)
        return trees[1:-1]


class DeprecatedCategoryTreeViewSet(CategoryServiceViewSet):
    """The tree of all published categories as one object: its root stands for the forest."""

    error_shape = staticmethod(typed_shape)

    @operation(
        "GET-category-tree-retrieve-category-tree-deprecated",
        summary="Read the published categories as one tree",
        tags=TAGS,
        parameters=[parameters.TENANT],
        responses={200: serializers.DeprecatedCategoryTree},
        errors=READ_ERRORS,
        error_schema=TypedError,
        deprecated=True,
    )
    def retrieve(self, request: Request, tenant: str) -> HttpResponse:
        trees = trees_json(
            tenant_id=self.caller.tenant.id,
            fields=DEPRECATED_TREE_FIELDS,
            languages=self.languages(),
            shows_unpublished=False,
        )
        root = orjson.dumps({"id": "root", "name": tenant, "position": 0, "published": True}).decode()
        return json_text(f'{root[:-1]},"subcategories":{trees}}}')
