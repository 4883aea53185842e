from collections.abc import Sequence
from functools import partial
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
from catalog.api.viewsets.base import id_answer
from catalog.api.viewsets.categories import PATCH_BODY, PROTECTED
from catalog.errors import InvalidProduct, ProductNotFound
from catalog.models import Product
from catalog.operations import products as operations
from catalog.operations.products import ProductDraft
from catalog.operations.publication import Publication
from catalog.products import PRODUCT, product_document, product_shape, read_new_id, read_product
from core.api import parameters
from core.api.bulk import multi_status, read_batch, result_status
from core.api.parameters import path_parameter, query_parameter
from core.api.patches import apply_patch
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import DomainError, InvalidInput
from core.sql.composition import Sql
from core.sql.upserts import RowResult
from core.tenancy.identifiers import check_client_id

product_operation = partial(operation, error_schema=wire.ProductError)

TAGS = ["Products"]
PRODUCT_ID = path_parameter("productId", "The product's id.")
CREATE = (PRODUCT_MANAGE, PRODUCT_PUBLISH)
UPDATE = (PRODUCT_MANAGE, PRODUCT_PUBLISH, PRODUCT_UNPUBLISH)
LIST_PARAMETERS = (
    parameters.SORT,
    parameters.FIELDS,
    *parameters.PAGING,
    parameters.TOTAL_COUNT_HEADER,
    parameters.ACCEPT_LANGUAGE,
)
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

    error_shape = staticmethod(product_shape)

    @product_operation(
        "GET-product-list-products",
        summary="List products",
        tags=TAGS,
        parameters=[parameters.TENANT, parameters.Q, *LIST_PARAMETERS],
        responses={200: wire.ProductResponse(many=True)},
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_page(PRODUCT, self.visible())

    @product_operation(
        "POST-product-search-products",
        summary="Search products",
        tags=TAGS,
        parameters=[parameters.TENANT, *LIST_PARAMETERS],
        request=wire.ProductSearchBody,
        responses={200: wire.ProductResponse(many=True)},
    )
    def search(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_page(PRODUCT, self.visible(), q=self.search_text())

    @product_operation(
        "GET-product-retrieve-product",
        summary="Read a product",
        tags=TAGS,
        parameters=[parameters.TENANT, PRODUCT_ID, parameters.FIELDS, parameters.ACCEPT_LANGUAGE],
        responses={200: wire.ProductResponse},
        errors=(400, 401, 403, 404),
    )
    def retrieve(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        conditions = [*self.visible(), Sql("product.external_id = %s", (path["productId"],))]
        return self.answer_one(PRODUCT, conditions, missing=ProductNotFound(path["productId"]))

    @product_operation(
        "POST-product-create-product",
        summary="Create a product",
        tags=TAGS,
        scopes=CREATE,
        parameters=[parameters.TENANT, INDEXING, RELATED_ITEMS, parameters.CONTENT_LANGUAGE],
        description=f"Publishing it needs {PRODUCT_PUBLISH}.",
        request=wire.ProductCreation,
        responses={201: wire.ProductId},
        errors=(400, 401, 403, 409),
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        product_id = operations.create_product(
            tenant_id=self.caller.tenant.id,
            draft=self.read(request.data, product_id=read_new_id(request.data)),
            publication=self.publication(),
            at=self.at,
        )
        return id_answer(product_id)

    @product_operation(
        "PUT-product-update-product",
        summary="Create or replace a product",
        tags=TAGS,
        scopes=UPDATE,
        parameters=[
            parameters.TENANT,
            PRODUCT_ID,
            PARTIAL,
            INDEXING,
            RELATED_ITEMS,
            parameters.CONTENT_LANGUAGE,
        ],
        description=f"Publishing it needs {PRODUCT_PUBLISH}, unpublishing it {PRODUCT_UNPUBLISH}.",
        request=wire.ProductBody,
        responses={201: wire.ProductId, 204: None},
        errors=(400, 401, 403, 404, 409),
    )
    def upsert(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        if parameters.flag(request.query_params, "partial"):
            return self.change(path["productId"], request.data)
        product_id = check_client_id(path["productId"], field="productId")
        if isinstance(request.data, dict) and request.data.get("id") not in (None, product_id):
            raise InvalidProduct("The id in the body is not the one in the path.", field="id")
        created = operations.upsert_product(
            tenant_id=self.caller.tenant.id,
            draft=self.read(request.data, product_id=product_id),
            publication=self.publication(),
            at=self.at,
        )
        return id_answer(product_id) if created else HttpResponse(status=204)

    @product_operation(
        "PATCH-product-update-product",
        summary="Change parts of a product",
        tags=TAGS,
        scopes=UPDATE,
        parameters=[parameters.TENANT, PRODUCT_ID, INDEXING, RELATED_ITEMS, parameters.CONTENT_LANGUAGE],
        description="A list is a JSON Patch (RFC 6902), an object a JSON Merge Patch (RFC 7396).",
        request=PATCH_BODY,
        responses={204: None},
        errors=(400, 401, 403, 404, 409),
    )
    def patch(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        return self.change(path["productId"], request.data)

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

    @product_operation(
        "DELETE-product-remove-product",
        summary="Delete a product",
        tags=TAGS,
        scopes=(PRODUCT_MANAGE,),
        parameters=[parameters.TENANT, PRODUCT_ID, INDEXING],
        description="With all its assignments to categories and segments. An unknown one is deleted already.",
        responses={204: None},
    )
    def destroy(self, request: Request, tenant: str, **path: str) -> HttpResponse:
        operations.delete_product(tenant_id=self.caller.tenant.id, product_id=path["productId"])
        return HttpResponse(status=204)

    @product_operation(
        "POST-product-create-bulk-products",
        summary="Create up to 200 products",
        tags=TAGS,
        scopes=CREATE,
        parameters=[parameters.TENANT, INDEXING, RELATED_ITEMS, parameters.CONTENT_LANGUAGE],
        request=wire.ProductCreation(many=True),
        responses={207: wire.ProductBulkResponse(many=True)},
    )
    def bulk_create(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_bulk(request.data, may_exist=False)

    @product_operation(
        "PUT-product-update-bulk-products",
        summary="Create or replace up to 200 products",
        tags=TAGS,
        scopes=UPDATE,
        parameters=[parameters.TENANT, INDEXING, RELATED_ITEMS, parameters.CONTENT_LANGUAGE],
        request=wire.ProductBulkUpdate(many=True),
        responses={207: wire.ProductBulkResponse(many=True)},
    )
    def bulk_upsert(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_bulk(request.data, may_exist=True)

    def answer_bulk(self, body: object, *, may_exist: bool) -> HttpResponse:
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
