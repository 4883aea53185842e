from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_MANAGE, COUPON_READ, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF
from core.api import parameters
from core.api.errors import json_answer
from core.api.parameters import TENANT, query_parameter
from core.api.patches import apply_patch
from core.sql.composition import Sql
from coupons.api.serializers import CouponCreation, CouponResponse, CouponUpdate, ResourceLocation
from coupons.api.viewsets import (
    ATTEMPT_ERRORS,
    CODE,
    CUSTOMER_NUMBER,
    LIST_PARAMETERS,
    READ_ERRORS,
    SHOW_DELETED,
    CouponServiceViewSet,
    coupon_operation,
)
from coupons.bodies import read_coupon_body, read_object, wire_document
from coupons.codes import has_code
from coupons.errors import CouponNotFound
from coupons.models import Coupon
from coupons.operations import Revision, create_coupon, delete_coupon, replace_coupon, revise_coupon
from coupons.representations import COUPONS, COUPONS_FOR_SHOPPERS
from coupons.terms import CouponTerms

TAGS = ("Coupon Management",)
PARTIAL = query_parameter("partial", "Merge the body into the coupon, as PATCH does.", type=bool)


class CouponViewSet(CouponServiceViewSet):
    @coupon_operation(
        "GET-coupon-list-specified-coupons",
        summary="List coupons",
        tags=TAGS,
        scopes=(COUPON_MANAGE, COUPON_READ),
        parameters=(TENANT, *LIST_PARAMETERS, SHOW_DELETED),
        responses={200: CouponResponse(many=True)},
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        conditions = [self.tenant_condition("coupon")]
        if not parameters.flag(request.query_params, "showDeleted"):
            conditions.append(Sql("NOT coupon.is_deleted"))
        return self.answer_page(COUPONS, conditions)

    @coupon_operation(
        "POST-coupon-create-coupon",
        summary="Create a coupon",
        tags=TAGS,
        scopes=(COUPON_MANAGE,),
        parameters=(TENANT,),
        request=CouponCreation,
        responses={201: ResourceLocation},
        errors=(400, 401, 403, 409),
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        body = read_coupon_body(request.data)
        coupon = create_coupon(tenant_id=self.caller.tenant.id, code=body.code, terms=body.terms, at=self.at)
        return json_answer({"id": coupon.code}, 201)

    @coupon_operation(
        "GET-coupon-retrieve-coupon",
        summary="Read a coupon",
        tags=TAGS,
        scopes=(COUPON_MANAGE, COUPON_READ, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF),
        parameters=(TENANT, CODE, CUSTOMER_NUMBER, SHOW_DELETED, parameters.FIELDS),
        responses={200: CouponResponse},
        errors=ATTEMPT_ERRORS,
        description=(
            "Who may not read all coupons sees those that are open to every customer or to the one asked"
            " for, without limits, use and other customers."
        ),
    )
    def retrieve(self, request: Request, tenant: str, code: str) -> HttpResponse:
        named = parameters.text(request.query_params, "customerNumber")
        customer_number = self.customer_asked_for(named)
        conditions = [has_code(self.caller.tenant.id, code)]
        reads_all = self.has_scope(COUPON_READ)
        if named or not reads_all:
            conditions.append(
                Sql("(coupon.valid_for = '{}' OR %s = ANY(coupon.valid_for))", (customer_number,))
            )
        if not reads_all or not parameters.flag(request.query_params, "showDeleted"):
            conditions.append(Sql("NOT coupon.is_deleted"))
        if reads_all:
            return self.answer_one(COUPONS, conditions, missing=CouponNotFound(code))
        with self.attempt():
            answer = self.answer_one(COUPONS_FOR_SHOPPERS, conditions, missing=CouponNotFound(code))
        return self.privately(answer)

    @coupon_operation(
        "PUT-coupon-update-coupon",
        summary="Replace a coupon",
        tags=TAGS,
        scopes=(COUPON_MANAGE,),
        parameters=(TENANT, CODE, PARTIAL),
        request=CouponUpdate,
        responses={200: None},
        errors=(*READ_ERRORS, 409),
    )
    def update(self, request: Request, tenant: str, code: str) -> HttpResponse:
        if parameters.flag(request.query_params, "partial"):
            return self.answer_patched(code, read_object(request.data))
        body = read_coupon_body(request.data)
        replace_coupon(
            tenant_id=self.caller.tenant.id,
            code=code,
            terms=body.terms,
            expected_version=body.version,
            at=self.at,
        )
        return HttpResponse(status=200)

    @coupon_operation(
        "PATCH-coupon-update-coupon",
        summary="Change parts of a coupon",
        tags=TAGS,
        scopes=(COUPON_MANAGE,),
        parameters=(TENANT, CODE),
        request=CouponUpdate(partial=True),
        responses={200: None},
        errors=(*READ_ERRORS, 409),
        description="The body is merged into the coupon (RFC 7396), or lists operations (RFC 6902).",
    )
    def partial_update(self, request: Request, tenant: str, code: str) -> HttpResponse:
        return self.answer_patched(code, request.data)

    @coupon_operation(
        "DELETE-coupon-remove-coupon",
        summary="Delete a coupon",
        tags=TAGS,
        scopes=(COUPON_MANAGE,),
        parameters=(TENANT, CODE),
        responses={204: None},
        errors=READ_ERRORS,
        description="The coupon is kept as deleted, and its code stays taken.",
    )
    def destroy(self, request: Request, tenant: str, code: str) -> HttpResponse:
        delete_coupon(tenant_id=self.caller.tenant.id, code=code, at=self.at)
        return HttpResponse(status=204)

    def answer_patched(self, code: str, change: Any) -> HttpResponse:
        """Apply a patch to the stored coupon. A version that it does not name is the stored one."""

        def revise(coupon: Coupon, stored: CouponTerms) -> Revision:
            document = wire_document(stored, coupon.version)
            return read_coupon_body(apply_patch(document, change, protected=())).revision

        revise_coupon(tenant_id=self.caller.tenant.id, code=code, revise=revise, at=self.at)
        return HttpResponse(status=200)
