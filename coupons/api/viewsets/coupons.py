from collections.abc import Callable
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_MANAGE, COUPON_READ, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF
from core.api import parameters
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.bodies import read_body
from core.errors import MalformedBody
from core.patches import apply_patch
from core.sql.composition import Sql, param, sql
from core.tenancy.callers import CallerKind
from coupons.api.viewsets import CUSTOMER_NUMBER, SHOW_DELETED, CouponServiceViewSet
from coupons.attempts import limited_attempt
from coupons.bodies import CouponBody, patched_document
from coupons.eligibility_queries import has_code
from coupons.errors import CouponNotFound
from coupons.operations import (
    accept_any,
    create_coupon,
    delete_coupon,
    find_coupon,
    locked_version,
    replace_coupon,
    revise_coupon,
)
from coupons.orders import customer_asked_for
from coupons.representations import COUPONS, COUPONS_FOR_SHOPPERS, RepresentationAt
from coupons.results import ResourceLocation

PARTIAL = query_parameter("partial", "Merge the body into the coupon, as PATCH does.", type=bool)


class CouponViewSet(CouponServiceViewSet):
    tag = "Coupon Management"
    resource = COUPONS
    created = ResourceLocation
    check_version: Callable[[int], None] = staticmethod(accept_any)

    @operation(
        "GET-coupon-list-specified-coupons", scopes=(COUPON_MANAGE, COUPON_READ), parameters=(SHOW_DELETED,)
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List coupons."""
        conditions = [self.tenant_condition("coupon"), Sql("coupon.terms_id IS DISTINCT FROM coupon.id")]
        if not parameters.flag(request.query_params, "showDeleted"):
            conditions.append(Sql("NOT coupon.is_deleted"))
        shown = RepresentationAt(COUPONS, self.at)
        return self.page_response(shown, conditions, keeps_plan=self.is_first_page)

    @operation("POST-coupon-create-coupon", scopes=(COUPON_MANAGE,), request=CouponBody)
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a coupon."""
        body = read_body(CouponBody, self.sent_body())
        coupon = create_coupon(tenant_id=self.caller.tenant.id, body=body, at=self.at)
        return self.created_response(coupon.code)

    @operation(
        "GET-coupon-retrieve-coupon",
        scopes=(COUPON_MANAGE, COUPON_READ, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF),
        parameters=(CUSTOMER_NUMBER, SHOW_DELETED),
        errors=(429,),
    )
    def retrieve(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """Read a coupon.

        Callers who may not read all coupons see those that are for every customer or for the one asked
        for, without limits, use and other customers.
        """
        named = parameters.text(request.query_params, "customerNumber")
        customer_number = customer_asked_for(self.caller, named)
        conditions = [has_code(self.caller.tenant.id, code)]
        reads_all = self.has_scope(COUPON_READ)
        if named or not reads_all:
            conditions.append(
                sql(
                    "(terms.valid_for = '{{}}' OR {customer} = ANY(terms.valid_for))",
                    customer=param(customer_number),
                )
            )
        if self.caller.kind is CallerKind.ANONYMOUS:
            conditions.append(Sql("terms.allows_anonymous"))
        if not reads_all or not parameters.flag(request.query_params, "showDeleted"):
            conditions.append(Sql("NOT coupon.is_deleted"))
        if reads_all:
            return self.document_response(
                RepresentationAt(COUPONS, self.at),
                conditions,
                missing=partial(CouponNotFound, code),
                needs=("terms",),
            )
        with limited_attempt(
            self.caller, request._request, code, customer_number=customer_number, at=self.at
        ):
            shown = RepresentationAt(COUPONS_FOR_SHOPPERS, self.at)
            answer = self.document_response(
                shown, conditions, missing=partial(CouponNotFound, code), needs=("terms",)
            )
        return self.privately(answer)

    def locked_version(self) -> int | None:
        return locked_version(tenant_id=self.caller.tenant.id, code=self.kwargs["code"])

    def handle_conditions(
        self, handler: Callable[..., HttpResponse], request: Request, *args: object, **kwargs: object
    ) -> HttpResponse:
        """Compare the version once before the body is read, and again by the operation, on the locked coupon.

        The operation locks the categories and segments that the body names before the coupon.
        """
        if self.action == "destroy":
            return super().handle_conditions(handler, request, *args, **kwargs)
        self.check_version = self.check_conditions
        self.check_version(find_coupon(self.caller.tenant.id, self.kwargs["code"]).version)
        return handler(request, *args, **kwargs)

    @operation(
        "PUT-coupon-update-coupon",
        scopes=(COUPON_MANAGE,),
        parameters=(PARTIAL,),
        request=CouponBody,
        responses={200: None},
    )
    def update(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """Replace a coupon."""
        if parameters.flag(request.query_params, "partial"):
            change = self.sent_body()
            if not isinstance(change, dict):
                raise MalformedBody("The body must be an object.")
            return self.patched_response(code, change)
        body = read_body(CouponBody, self.sent_body())
        replace_coupon(
            tenant_id=self.caller.tenant.id, code=code, body=body, at=self.at, check=self.check_version
        )
        return HttpResponse(status=200)

    @operation(
        "PATCH-coupon-update-coupon",
        scopes=(COUPON_MANAGE,),
        responses={200: None},
    )
    def partial_update(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """Change parts of a coupon.

        The body is merged into the coupon (RFC 7396), or lists operations (RFC 6902).
        """
        return self.patched_response(code, self.sent_body())

    @operation("DELETE-coupon-remove-coupon", scopes=(COUPON_MANAGE,))
    def destroy(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """Delete a coupon.

        The coupon is kept as deleted, and its code stays taken.
        """
        delete_coupon(tenant_id=self.caller.tenant.id, code=code, at=self.at)
        return HttpResponse(status=204)

    def patched_response(self, code: str, change: object) -> HttpResponse:
        """Apply a patch to the stored coupon. A version that it does not name is the stored one."""

        def revise(stored: CouponBody) -> CouponBody:
            return read_body(CouponBody, apply_patch(patched_document(stored), change, protected=()))

        revise_coupon(
            tenant_id=self.caller.tenant.id, code=code, revise=revise, at=self.at, check=self.check_version
        )
        return HttpResponse(status=200)
