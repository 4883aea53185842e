from collections.abc import Sequence
from functools import partial
from typing import Annotated

from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request

from accounts.identity.scopes import (
    CATEGORY_READ_UNPUBLISHED,
    PRODUCT_MANAGE,
    PRODUCT_PUBLISH,
    PRODUCT_READ_UNPUBLISHED,
    PRODUCT_UNPUBLISH,
)
from catalog import extensions
from catalog.api.error_bodies import PRODUCT_ERRORS
from catalog.bodies import CreatedId, ProductBody
from catalog.errors import InvalidProduct, ProductNotFound
from catalog.operations import products as operations
from catalog.operations.categories import Publication
from catalog.representations import PRODUCT, PRODUCT_FOR_SHOPPERS, PRODUCT_IN_SHOWN_CATEGORIES, products_of
from catalog.revisions import OF_PRODUCTS
from core.api import parameters
from core.api.json import multi_status, read_batch, result_status
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import Body, SearchBody, read_bodies, read_body
from core.json_types import JsonObject
from core.representation.languages import LanguageContext
from core.representation.pages import Along
from core.representation.representations import Representation
from core.sql.composition import Sql, equals
from core.sql.upserts import RowResult
from core.tenancy.callers import CallerKind
from core.tenancy.identifiers import check_client_id

CREATE = (PRODUCT_MANAGE, PRODUCT_PUBLISH)
UPDATE = (PRODUCT_MANAGE, PRODUCT_PUBLISH, PRODUCT_UNPUBLISH)
INDEXING = query_parameter(
    "doIndex", "Accepted and without effect: what is written is found at once.", type=bool
)
RELATED_ITEMS = query_parameter(
    "skipRelatedItemsValidation",
    "Accepted and without effect: related products need not exist.",
    type=bool,
)
PARTIAL = query_parameter("partial", "Change only what the body names.", type=bool)


class ProductResultBody(Body, kw_only=True):
    """What became of one entry of a bulk body."""

    index: Annotated[int, Meta(description="The entry's place in the body, from 0.")]
    code: Annotated[int, Meta(description="The status that the entry would have by itself.")]
    status: Annotated[str, Meta(description="The name of the status, such as CREATED.")]
    id: Annotated[str | None, Meta(description="The product, if its id could be read.")] = None
    message: Annotated[str | None, Meta(description="Why the entry was refused.")] = None


class ProductViewSet(ContractViewSet):
    """Products. Any valid token may read those that are published."""

    tag = "Products"
    resource = PRODUCT
    created = CreatedId
    bulk_result = ProductResultBody
    search_body = SearchBody
    has_localized_fields = True
    entry_arguments = {"product_id": "id"}
    reads_localized_fields = True
    deletes_unknown = True
    error_format = PRODUCT_ERRORS
    has_tagged_lists = True
    groups_ended = staticmethod(partial(extensions.touched_groups, "product"))

    @operation("GET-product-list-products")
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List products."""
        scopes = [
            name for name in (CATEGORY_READ_UNPUBLISHED, PRODUCT_READ_UNPUBLISHED) if self.has_scope(name)
        ]
        return self.revised_page(
            OF_PRODUCTS,
            partial(self.products_response, q=None),
            facts=(self.caller.kind is CallerKind.SERVICE, *sorted(scopes)),
        )

    @operation("POST-product-search-products")
    def search(self, request: Request, tenant: str) -> HttpResponse:
        """Search products."""
        return self.products_response(q=self.search_text())

    def products_response(self, *, q: str | None, along: Along | None = None) -> HttpResponse:
        q = parameters.text(self.request.query_params, "q") if q is None else q
        representation = self.representation()
        if q:
            representation = products_of(representation, self.caller.tenant.id)
        return self.page_response(
            representation, self.visible(), q=q, keeps_plan=self.is_first_page, along=along
        )

    @operation("GET-product-retrieve-product")
    def retrieve(self, request: Request, tenant: str, product_id: str) -> HttpResponse:
        """Read a product."""
        conditions = [*self.visible(), equals("product.external_id", product_id)]
        return self.document_response(
            self.representation(), conditions, missing=partial(ProductNotFound, product_id)
        )

    @operation(
        "POST-product-create-product",
        scopes=CREATE,
        parameters=(INDEXING, RELATED_ITEMS),
        request=ProductBody,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a product.

        Publishing it needs product.product_publish.
        """
        product_id = operations.create_product(
            tenant_id=self.caller.tenant.id,
            body=self.read(request.data),
            publication=self.publication(),
            at=self.at,
        )
        return self.created_response(product_id)

    def locked_version(self) -> int | None:
        return operations.locked_version(
            tenant_id=self.caller.tenant.id, product_id=self.kwargs["product_id"]
        )

    @operation(
        "PUT-product-update-product",
        scopes=UPDATE,
        parameters=(PARTIAL, INDEXING, RELATED_ITEMS),
        request=ProductBody,
        errors=(404,),
    )
    def update(self, request: Request, tenant: str, product_id: str) -> HttpResponse:
        """Create or replace a product.

        Publishing it needs product.product_publish, unpublishing it product.product_unpublish.
        """
        if parameters.flag(request.query_params, "partial"):
            return self.change(product_id, request.data)
        product_id = check_client_id(product_id, field="productId")
        body = self.read(request.data)
        if body.external_id not in (None, product_id):
            raise InvalidProduct("The id in the body is not the one in the path.", field="id")
        body.external_id = product_id
        created = operations.upsert_product(
            tenant_id=self.caller.tenant.id, body=body, publication=self.publication(), at=self.at
        )
        return self.created_response(product_id) if created else HttpResponse(status=204)

    @operation("PATCH-product-update-product", scopes=UPDATE, parameters=(INDEXING, RELATED_ITEMS))
    def partial_update(self, request: Request, tenant: str, product_id: str) -> HttpResponse:
        """Change parts of a product.

        A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).
        """
        return self.change(product_id, request.data)

    def change(self, product_id: str, patch: object) -> HttpResponse:
        operations.edit_product(
            tenant_id=self.caller.tenant.id,
            product_id=product_id,
            edit=partial(ProductBody.patched, patch=patch, languages=self.write_languages()),
            publication=self.publication(),
            at=self.at,
        )
        return HttpResponse(status=204)

    @operation("DELETE-product-remove-product", scopes=(PRODUCT_MANAGE,), parameters=(INDEXING,))
    def destroy(self, request: Request, tenant: str, product_id: str) -> HttpResponse:
        """Delete a product.

        With all its assignments to categories and segments. An unknown one is deleted already.
        """
        operations.delete_product(tenant_id=self.caller.tenant.id, product_id=product_id)
        return HttpResponse(status=204)

    @operation(
        "POST-product-create-bulk-products",
        scopes=CREATE,
        parameters=(INDEXING, RELATED_ITEMS),
        request=[ProductBody],
    )
    def bulk_create(self, request: Request, tenant: str) -> HttpResponse:
        """Create up to 200 products."""
        return self.bulk_response(request.data, may_exist=False)

    @operation(
        "PUT-product-update-bulk-products",
        scopes=UPDATE,
        parameters=(INDEXING, RELATED_ITEMS),
        request=[ProductBody],
    )
    def bulk_update(self, request: Request, tenant: str) -> HttpResponse:
        """Create or replace up to 200 products."""
        return self.bulk_response(request.data, may_exist=True)

    def bulk_response(self, body: object, *, may_exist: bool) -> HttpResponse:
        outcomes = operations.write_products_in_bulk(
            tenant_id=self.caller.tenant.id,
            bodies=[
                InvalidProduct("id is missing.", field="id")
                if may_exist and isinstance(row, ProductBody) and row.external_id is None
                else row
                for row in read_bodies(ProductBody, read_batch(body), languages=self.write_languages())
            ],
            may_exist=may_exist,
            publication=self.publication(),
            at=self.at,
        )
        return multi_status(outcomes, bulk_entry)

    def representation(self) -> Representation:
        """Return what the caller may see: services segments too, and hidden categories with their scope."""
        if self.caller.kind is not CallerKind.SERVICE:
            return PRODUCT_FOR_SHOPPERS
        return PRODUCT if self.has_scope(CATEGORY_READ_UNPUBLISHED) else PRODUCT_IN_SHOWN_CATEGORIES

    def visible(self) -> Sequence[Sql]:
        """Return the conditions of the products that the caller may see."""
        conditions = [equals("product.tenant_id", self.caller.tenant.id)]
        if not self.has_scope(PRODUCT_READ_UNPUBLISHED):
            conditions.append(Sql("product.is_published"))
        return conditions

    def read(self, body: object) -> ProductBody:
        return read_body(ProductBody, body, languages=self.write_languages())

    def write_languages(self) -> LanguageContext:
        return LanguageContext(self.header("Content-Language"), self.caller.tenant.default_language)

    def publication(self) -> Publication:
        return Publication(
            may_publish=self.has_scope(PRODUCT_PUBLISH), may_unpublish=self.has_scope(PRODUCT_UNPUBLISH)
        )


def bulk_entry(outcome: RowResult) -> JsonObject:
    """One row's result as the product service says it: counted from 0, statuses in capitals on success."""
    status = result_status(outcome)
    entry: JsonObject = {"index": outcome.position}
    if outcome.id:
        entry["id"] = outcome.id
    entry["code"] = status.value
    entry["status"] = status.phrase if outcome.error else status.phrase.upper().replace(" ", "_")
    if outcome.error:
        entry["message"] = outcome.error.message
    return entry
