from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH
from catalog.api.filters import CategoryFilters
from catalog.api.viewsets.base import (
    MANAGE,
    SHOW_UNPUBLISHED,
    CategoryServiceViewSet,
    key_in,
    require_category,
)
from catalog.bodies import CategoryBody, CreatedId
from catalog.errors import CategoryNotFound, InvalidCategory, InvalidLanguages, RelativesNotFound
from catalog.operations import categories as operations
from catalog.operations.categories import Publication
from catalog.representations import CATEGORY
from catalog.revisions import OF_CATEGORIES
from catalog.subtrees import ancestors, descendants
from core.api import parameters
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.bodies import SearchBody, read_body
from core.representation.languages import LanguageContext, accepted_languages, unconfigured_languages
from core.representation.pages import Along
from core.representation.representations import SortKey
from core.sql.composition import Sql, equals
from core.tenancy.identifiers import check_client_id

PUBLISH = query_parameter(
    "publish", "Plays no part, but must agree with `published` in the body when both are there.", type=bool
)
DEPTH = query_parameter("depth", "How many levels below the category; 1 is only its children.", type=int)
WITH_SUBCATEGORIES = query_parameter(
    "withSubcategories",
    "Delete all descendants too. Otherwise the children become root categories with their subtrees.",
    type=bool,
)
DEEPEST = 10_000
TREE_ORDER = (SortKey(Sql("category.lft"), "integer"),)


class CategoryViewSet(CategoryServiceViewSet):
    """Categories."""

    tag = "Categories"
    resource = CATEGORY
    created = CreatedId
    search_body = SearchBody
    reads_localized_fields = True

    @operation("GET-category-tree-list-categories", filters=CategoryFilters, parameters=(SHOW_UNPUBLISHED,))
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List categories."""
        self.shows_unpublished()
        return self.revised_page(OF_CATEGORIES, partial(self.categories_response, q=None))

    @operation(
        "POST-category-tree-search-categories", filters=CategoryFilters, parameters=(SHOW_UNPUBLISHED,)
    )
    def search(self, request: Request, tenant: str) -> HttpResponse:
        """Search categories."""
        return self.categories_response(q=self.search_text())

    def categories_response(self, *, q: str | None, along: Along | None = None) -> HttpResponse:
        visible = self.visible(shows_unpublished=self.shows_unpublished())
        filters, _ = self.filter_conditions(languages=self.languages())
        order = TREE_ORDER if parameters.flag(self.query, "showRoots") else ()
        keeps_plan = self.is_first_page and not filters
        return self.page_response(
            CATEGORY, [*visible, *filters], q=q, order=order, keeps_plan=keeps_plan, along=along
        )

    @operation("GET-category-tree-retrieve-category", parameters=(SHOW_UNPUBLISHED,))
    def retrieve(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Read a category."""
        conditions = [
            *self.visible(shows_unpublished=self.shows_unpublished()),
            equals("category.external_id", category_id),
        ]
        return self.document_response(CATEGORY, conditions, missing=partial(CategoryNotFound, category_id))

    @operation("GET-category-tree-retrieve-category-parents", reads="page", parameters=(SHOW_UNPUBLISHED,))
    def parents(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """List the categories above a category, from the root down."""
        shows_unpublished = self.shows_unpublished()
        missing = RelativesNotFound(category_id, relatives="parents", tenant=tenant)
        key = self.category_key(category_id, shows_unpublished=shows_unpublished)
        conditions = [
            *self.visible(shows_unpublished=True),  # what is above a visible category is visible
            key_in("category.id", ancestors(key)),
        ]
        found = partial(require_category, key, missing=missing)
        page = partial(self.page_response, CATEGORY, conditions, q="", order=TREE_ORDER, when_empty=found)
        return self.revised_page(OF_CATEGORIES, page)

    @operation("GET-category-tree-list-subcategories", reads="page", parameters=(DEPTH, SHOW_UNPUBLISHED))
    def subcategories(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """List the categories below a category.

        In the order of the tree. What is unpublished is left out, with all below it.
        """
        shows_unpublished = self.shows_unpublished()
        depth = parameters.whole_number(self.query, "depth", default=0, least=0, most=DEEPEST)
        missing = RelativesNotFound(category_id, relatives="subcategories", tenant=tenant)
        key = self.category_key(category_id, shows_unpublished=shows_unpublished)
        conditions = [
            *self.visible(shows_unpublished=True),  # `descendants` leaves out what is not
            key_in("category.id", descendants(key, depth=depth, shows_unpublished=shows_unpublished)),
        ]
        found = partial(require_category, key, missing=missing)
        page = partial(self.page_response, CATEGORY, conditions, q="", order=TREE_ORDER, when_empty=found)
        return self.revised_page(OF_CATEGORIES, page)

    @operation(
        "POST-category-tree-create-category",
        scopes=(CATEGORY_MANAGE, CATEGORY_PUBLISH),
        parameters=(PUBLISH,),
        request=CategoryBody,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a category.

        Publishing it needs category.category_publish.
        """
        body = self.read(request.data, self.write_languages())
        category = operations.create_category(
            tenant_id=self.caller.tenant.id, body=body, publication=self.publication(), at=self.at
        )
        return self.created_response(category.external_id)

    def locked_version(self) -> int | None:
        return operations.locked_version(
            tenant_id=self.caller.tenant.id, external_id=self.kwargs["category_id"]
        )

    @operation(
        "PUT-category-tree-update-category",
        scopes=(CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH),
        parameters=(PUBLISH,),
        request=CategoryBody,
        errors=(404,),
    )
    def update(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Create or replace a category.

        Publishing it needs category.category_publish, unpublishing it category.category_unpublish.
        """
        body = self.read(request.data, self.write_languages())
        category_id = check_client_id(category_id, field="categoryId")
        if body.external_id not in (None, category_id):
            raise InvalidCategory("The id in the body is not the one in the path", field="id")
        body.external_id = category_id
        created = operations.upsert_category(
            tenant_id=self.caller.tenant.id, body=body, publication=self.publication(), at=self.at
        )
        return self.created_response(category_id) if created else HttpResponse(status=204)

    @operation(
        "PATCH-category-tree-update-category",
        scopes=(CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH),
        parameters=(PUBLISH,),
    )
    def partial_update(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Change parts of a category.

        A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).
        """
        languages, publish, publication = self.write_languages(), self.publish_flag(), self.publication()
        operations.edit_category(
            tenant_id=self.caller.tenant.id,
            external_id=category_id,
            edit=partial(CategoryBody.patched, patch=request.data, languages=languages, publish=publish),
            publication=publication,
            at=self.at,
        )
        return HttpResponse(status=204)

    @operation("DELETE-category-tree-remove-category", scopes=MANAGE, parameters=(WITH_SUBCATEGORIES,))
    def destroy(self, request: Request, tenant: str, category_id: str) -> HttpResponse:
        """Delete a category."""
        recursive = parameters.flag(self.query, "recursive")  # the parameter's old name
        operations.delete_category(
            tenant_id=self.caller.tenant.id,
            external_id=category_id,
            with_subcategories=parameters.flag(self.query, "withSubcategories", default=recursive),
        )
        return HttpResponse(status=204)

    def write_languages(self) -> LanguageContext:
        """Return the languages that a body may hold: those of Content-Language, else all of the tenant.

        Raises InvalidLanguages when the header names one that is not configured.
        """
        tenant, header = self.caller.tenant, self.request._request.META.get("HTTP_CONTENT_LANGUAGE")
        if not header:
            return LanguageContext(None, tenant.default_language, allowed=tenant.languages)
        named = accepted_languages(header)
        if unknown := unconfigured_languages(named or (), tenant.languages):
            raise InvalidLanguages("Content-Language", unknown, tenant.languages)
        return LanguageContext(header, tenant.default_language, tenant.languages if named is None else named)

    def publication(self) -> Publication:
        return Publication(
            may_publish=self.has_scope(CATEGORY_PUBLISH), may_unpublish=self.has_scope(CATEGORY_UNPUBLISH)
        )

    def publish_flag(self) -> bool | None:
        """Return the parameter `publish`; None when it is absent."""
        return parameters.flag(self.query, "publish") if self.query.get("publish") else None

    def read(self, document: object, languages: LanguageContext) -> CategoryBody:
        """Return the body of a category; refuse a parameter `publish` that contradicts it."""
        body = read_body(CategoryBody, document, languages=languages)
        body.check_publish(self.publish_flag())
        return body
