from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import (
    PRODUCT_MANAGE,
    PRODUCT_PUBLISH,
    PRODUCT_READ_UNPUBLISHED,
    PRODUCT_UNPUBLISH,
)
from catalog import products as wire
from catalog.api.error_bodies import PRODUCT_ERRORS
from catalog.api.viewsets.base import id_response
from catalog.api.viewsets.categories import PROTECTED
from catalog.errors import InvalidProduct, ProductNotFound
from catalog.models import Product
from catalog.operations import products as operations
from catalog.operations.products import ProductDraft
from catalog.operations.publication import Publication
from catalog.products import PRODUCT, product_document, read_new_id, read_product
from core.api import parameters
from core.api.bulk import multi_status, read_batch, result_status
from core.api.parameters import query_parameter
from core.api.patches import apply_patch
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import DomainError, InvalidInput
from core.sql.composition import Sql
from core.sql.upserts import RowResult
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


class ProductViewSet(ContractViewSet):
    """Products. Any valid token may read those that are published."""

    tag = "Products"
    resource = wire.ProductResponse
    created = wire.ProductId
    bulk_result = wire.ProductBulkResponse
    search_body = wire.ProductSearchBody
    has_localized_fields = True
    reads_localized_fields = True
    deletes_unknown = True
    error_format = PRODUCT_ERRORS

    @operation("GET-product-list-products")
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List products."""
        return self.page_response(PRODUCT, self.visible())

    @operation("POST-product-search-products")
    def search(self, request: Request, tenant: str) -> HttpResponse:
        """Search products."""
        return self.page_response(PRODUCT, self.visible(), q=self.search_text())

    @operation("GET-product-retrieve-product")
    def retrieve(self, request: Request, tenant: str, product_id: str) -> HttpResponse:
        """Read a product."""
        conditions = [*self.visible(), Sql("product.external_id = %s", (product_id,))]
        return self.document_response(PRODUCT, conditions, missing=ProductNotFound(product_id))

    @operation(
        "POST-product-create-product",
        scopes=CREATE,
        parameters=(INDEXING, RELATED_ITEMS),
        request=wire.ProductCreation,
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a product.

        Publishing it needs product.product_publish.
        """
        product_id = operations.create_product(
            tenant_id=self.caller.tenant.id,
            draft=self.read(request.data, product_id=read_new_id(request.data)),
            publication=self.publication(),
            at=self.at,
        )
        return id_response(product_id)

    def locked_version(self) -> int | None:
        return operations.locked_version(
            tenant_id=self.caller.tenant.id, product_id=self.kwargs["product_id"]
        )

    @operation(
        "PUT-product-update-product",
        scopes=UPDATE,
        parameters=(PARTIAL, INDEXING, RELATED_ITEMS),
        request=wire.ProductBody,
        errors=(404,),
    )
    def update(self, request: Request, tenant: str, product_id: str) -> HttpResponse:
        """Create or replace a product.

        Publishing it needs product.product_publish, unpublishing it product.product_unpublish.
        """
        if parameters.flag(request.query_params, "partial"):
            return self.change(product_id, request.data)
        product_id = check_client_id(product_id, field="productId")
        if isinstance(request.data, dict) and request.data.get("id") not in (None, product_id):
            raise InvalidProduct("The id in the body is not the one in the path.", field="id")
        created = operations.upsert_product(
            tenant_id=self.caller.tenant.id,
            draft=self.read(request.data, product_id=product_id),
            publication=self.publication(),
            at=self.at,
        )
        return id_response(product_id) if created else HttpResponse(status=204)

    @operation("PATCH-product-update-product", scopes=UPDATE, parameters=(INDEXING, RELATED_ITEMS))
    def partial_update(self, request: Request, tenant: str, product_id: str) -> HttpResponse:
        """Change parts of a product.

        A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).
        """
        return self.change(product_id, request.data)

    def change(self, product_id: str, body: Any) -> HttpResponse:
        def edit(product: Product) -> ProductDraft:
            document = apply_patch(product_document(product), body, protected=PROTECTED)
            return self.read(document, product_id=product_id)

        operations.edit_product(
            tenant_id=self.caller.tenant.id,
            product_id=product_id,
            edit=edit,
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
        request=wire.ProductCreation(many=True),
    )
    def bulk_create(self, request: Request, tenant: str) -> HttpResponse:
        """Create up to 200 products."""
        return self.bulk_response(request.data, may_exist=False)

    @operation(
        "PUT-product-update-bulk-products",
        scopes=UPDATE,
        parameters=(INDEXING, RELATED_ITEMS),
        request=wire.ProductBulkUpdate(many=True),
    )
    def bulk_update(self, request: Request, tenant: str) -> HttpResponse:
        """Create or replace up to 200 products."""
        return self.bulk_response(request.data, may_exist=True)

    def bulk_response(self, body: object, *, may_exist: bool) -> HttpResponse:
        outcomes = operations.write_products_in_bulk(
            tenant_id=self.caller.tenant.id,
            drafts=[self.read_row(entry, needs_id=may_exist) for entry in read_batch(body)],
            may_exist=may_exist,
            publication=self.publication(),
            at=self.at,
        )
        return multi_status(outcomes, bulk_entry)

    def read_row(self, entry: object, *, needs_id: bool) -> ProductDraft | DomainError:
        """Read an entry of a bulk body; one that breaks a rule becomes its error."""
        if isinstance(entry, DomainError):  # refused before it could be read
            return entry
        try:
            product_id = read_new_id(entry)
            if needs_id and not product_id:
                raise InvalidProduct("id is missing.", field="id")
            return self.read(entry, product_id=product_id)
        except InvalidInput as refused:
            return refused

    def visible(self) -> Sequence[Sql]:
        """Return the conditions of the products that the caller may see."""
        conditions = [Sql("product.tenant_id = %s", (self.caller.tenant.id,))]
        if not self.has_scope(PRODUCT_READ_UNPUBLISHED):
            conditions.append(Sql("product.is_published"))
        return conditions

    def read(self, body: object, *, product_id: str) -> ProductDraft:
        return read_product(
            body,
            content_language=self.header("Content-Language"),
            default_language=self.caller.tenant.default_language,
            product_id=product_id,
        )

    def publication(self) -> Publication:
        return Publication(
            may_publish=self.has_scope(PRODUCT_PUBLISH), may_unpublish=self.has_scope(PRODUCT_UNPUBLISH)
        )


def bulk_entry(outcome: RowResult) -> dict[str, Any]:
    """One row's result as the product service says it: counted from 0, statuses in capitals on success."""
    status = result_status(outcome)
    entry: dict[str, Any] = {"index": outcome.position}
    if outcome.id:
        entry["id"] = outcome.id
    entry["code"] = status.value
    entry["status"] = status.phrase if outcome.error else status.phrase.upper().replace(" ", "_")
    if outcome.error:
        entry["message"] = outcome.error.message
    return entry
