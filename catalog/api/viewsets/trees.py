from collections.abc import Sequence
from functools import partial

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_READ_UNPUBLISHED
from catalog.api.trees import trees_json
from catalog.api.viewsets.base import SHOW_UNPUBLISHED, CategoryServiceViewSet, json_text
from catalog.bodies import TreeSearchBody, read_category_ids
from catalog.errors import TreeNotFound
from catalog.operations.categories import rebuild_tree
from catalog.representations import CATEGORY_TREE, DEPRECATED_TREE, DEPRECATED_TREE_FIELDS, TREE_FIELDS
from catalog.revisions import OF_CATEGORIES
from core.api.error_bodies import TYPED_ERRORS
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.errors import InvalidInput

CATEGORY_IDS = query_parameter(
    "categoryIds", "Only trees that hold one of these categories; repeated, or separated by commas."
)
MOST_IDS = 1_000


class CategoryTreeViewSet(CategoryServiceViewSet):
    """Trees of categories."""

    tag = "Category trees"
    resource = CATEGORY_TREE
    search_body = TreeSearchBody
    has_page_parameters = False

    @operation("GET-category-tree-retrieve-category-tree", parameters=(SHOW_UNPUBLISHED, CATEGORY_IDS))
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """Read all category trees."""
        named = [word for entry in self.query.getlist("categoryIds") for word in entry.split(",")]
        category_ids = [word.strip() for word in named if word.strip()]
        if len(category_ids) > MOST_IDS:
            raise InvalidInput(f"categoryIds lists at most {MOST_IDS} ids.", field="categoryIds")
        self.shows_unpublished()
        return self.revised_response(
            OF_CATEGORIES, lambda: json_text(self.trees(category_ids=category_ids or None))
        )

    @operation("POST-category-tree-search-category-trees", parameters=(SHOW_UNPUBLISHED,))
    def search(self, request: Request, tenant: str) -> HttpResponse:
        """Find the trees that hold categories."""
        return json_text(self.trees(category_ids=read_category_ids(request.data)))

    @operation("GET-category-tree-retrieve-category-tree-by-id", parameters=(SHOW_UNPUBLISHED,))
    def retrieve(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Read the tree of a root category."""
        self.shows_unpublished()
        return self.revised_response(OF_CATEGORIES, lambda: json_text(self.tree(category_id)))

    @operation(
        "POST-category-tree-rebuild-category-tree",
        scopes=(CATEGORY_MANAGE, CATEGORY_READ_UNPUBLISHED),
        reads="one",
        parameters=(SHOW_UNPUBLISHED,),
    )
    def rebuild(self, request: Request, tenant: str, root_category_id: str) -> HttpResponse:
        """Rebuild the tree of a root category.

        Computes the stored order of the tenant's trees anew and answers this one.
        """
        self.shows_unpublished()
        rebuild_tree(tenant_id=self.caller.tenant.id, root_id=root_category_id)
        return json_text(self.tree(root_category_id))

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
    """The tree of all published categories as one object, below a root that has no category."""

    tag = "Category trees"
    resource = DEPRECATED_TREE
    has_page_parameters = False
    error_format = TYPED_ERRORS

    @operation("GET-category-tree-retrieve-category-tree-deprecated", errors=(404,), is_deprecated=True)
    def retrieve(self, request: Request, tenant: str) -> HttpResponse:
        """Read the published categories as one tree."""
        return self.revised_response(OF_CATEGORIES, partial(self.one_tree, tenant))

    def one_tree(self, tenant: str) -> HttpResponse:
        """Return all published categories below an object that holds the root categories."""
        trees = trees_json(
            tenant_id=self.caller.tenant.id,
            fields=DEPRECATED_TREE_FIELDS,
            languages=self.languages(),
            shows_unpublished=False,
        )
        root = orjson.dumps({"id": "root", "name": tenant, "position": 0, "published": True}).decode()
        return json_text(f'{root[:-1]},"subcategories":{trees}}}')
