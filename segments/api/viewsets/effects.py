from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_READ
from core.api.json import json_response
from core.api.schema import operation
from core.bodies import read_body
from segments.api.viewsets.base import SegmentServiceViewSet
from segments.effects import (
    CategoryChangeBody,
    CategoryEffects,
    Effects,
    SegmentChangeBody,
    SegmentsChangeBody,
    category_effects,
    effects_of,
)

READ = (SEGMENT_READ,)


class EffectViewSet(SegmentServiceViewSet):
    """What changes would do to shoppers. Nothing is changed."""

    tag = "Effects"
    has_page_parameters = False

    @operation(
        "POST-customer-segment-preview-segment-change",
        scopes=READ,
        request=SegmentChangeBody,
        responses={200: Effects},
    )
    def of_segment(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Read what a change of a segment would do.

        Coupons are among `dependents` with coupon.coupon_read. Nothing is changed.
        """
        found = effects_of(
            tenant_id=self.caller.tenant.id,
            segment_ids=[segment_id],
            body=read_body(SegmentChangeBody, request.data),
            at=self.at,
            scopes=self.caller.scopes,
        )
        return json_response(found)

    @operation(
        "POST-customer-segment-preview-segments-change",
        scopes=READ,
        request=SegmentsChangeBody,
        responses={200: Effects},
        errors=(404,),
    )
    def of_segments(self, request: Request, tenant: str) -> HttpResponse:
        """Read what a change of up to 200 segments together would do.

        Customers are counted once, whatever number of the segments they lose. Coupons are among `dependents`
        with coupon.coupon_read. Nothing is changed.
        """
        body = read_body(SegmentsChangeBody, request.data)
        found = effects_of(
            tenant_id=self.caller.tenant.id,
            segment_ids=body.segment_ids,
            body=body,
            at=self.at,
            scopes=self.caller.scopes,
        )
        return json_response(found)

    @operation(
        "POST-customer-segment-preview-category-change",
        scopes=READ,
        request=CategoryChangeBody,
        responses={200: CategoryEffects},
        errors=(404,),
    )
    def of_category(self, request: Request, tenant: str) -> HttpResponse:
        """Read what a change of a category would do.

        Coupons are among `dependents` with coupon.coupon_read. Nothing is changed.
        """
        found = category_effects(
            tenant_id=self.caller.tenant.id,
            body=read_body(CategoryChangeBody, request.data),
            at=self.at,
            scopes=self.caller.scopes,
        )
        return json_response(found)
