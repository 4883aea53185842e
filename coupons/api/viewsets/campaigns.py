from functools import partial

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_MANAGE
from core.api.schema import operation
from core.bodies import read_body
from core.sql.composition import equals
from coupons.api.viewsets import CouponServiceViewSet
from coupons.bodies import CampaignBody
from coupons.errors import CampaignNotFound
from coupons.models.campaigns import MADE_AT_ONCE
from coupons.operations import create_campaign, deactivate_campaign, export_codes, generate_codes, queue_codes
from coupons.representations import CAMPAIGNS, RepresentationAt
from coupons.results import ResourceLocation

CSV = {(200, "text/csv"): {"type": "string", "description": "The heading `code`, then one code a line."}}


class CampaignViewSet(CouponServiceViewSet):
    tag = "Coupon Campaigns"
    resource = CAMPAIGNS
    created = ResourceLocation

    @operation("GET-coupon-list-campaigns", scopes=(COUPON_MANAGE,))
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List coupon campaigns."""
        return self.page_response(
            RepresentationAt(CAMPAIGNS, self.at), [self.tenant_condition("campaign")], needs=("terms",)
        )

    @operation("POST-coupon-create-campaign", scopes=(COUPON_MANAGE,), request=CampaignBody, errors=(409,))
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a campaign of single-use codes.

        Up to 1,000 codes are made at once, more in the background; `codes.generated` says how many there are.
        They cannot be guessed, and share the terms of the template.
        """
        body = read_body(CampaignBody, self.sent_body())
        with transaction.atomic():
            campaign = create_campaign(tenant_id=self.caller.tenant.id, body=body, at=self.at)
            if body.count <= MADE_AT_ONCE:
                generate_codes(tenant_id=self.caller.tenant.id, campaign_id=campaign.external_id, at=self.at)
            else:
                queue_codes(campaign, requested_by=f"API client {self.caller.client_id}", at=self.at)
        return self.created_response(campaign.external_id)

    @operation("GET-coupon-retrieve-campaign", scopes=(COUPON_MANAGE,))
    def retrieve(self, request: Request, tenant: str, campaign_id: str) -> HttpResponse:
        """Read a campaign: its terms, and how many of its codes are redeemed, open and over."""
        return self.document_response(
            RepresentationAt(CAMPAIGNS, self.at),
            [self.tenant_condition("campaign"), equals("campaign.external_id", campaign_id)],
            missing=partial(CampaignNotFound, campaign_id),
            needs=("terms",),
        )

    @operation(
        "POST-coupon-deactivate-campaign", scopes=(COUPON_MANAGE,), responses={204: None}, errors=(404,)
    )
    def deactivate(self, request: Request, tenant: str, campaign_id: str) -> HttpResponse:
        """Deactivate all codes of a campaign at once.

        They are over from now on; codes that are redeemed stay so. A second time changes nothing.
        """
        deactivate_campaign(tenant_id=self.caller.tenant.id, campaign_id=campaign_id, at=self.at)
        return HttpResponse(status=204)

    @operation("POST-coupon-export-campaign", scopes=(COUPON_MANAGE,), responses=CSV, errors=(404, 409))
    def export(self, request: Request, tenant: str, campaign_id: str) -> HttpResponse:
        """Export the codes of a campaign, once.

        409 while codes are being made, and when they were exported before.
        """
        codes = export_codes(tenant_id=self.caller.tenant.id, campaign_id=campaign_id, at=self.at)
        answer = HttpResponse("".join(f"{code}\n" for code in ("code", *codes)), content_type="text/csv")
        answer["Content-Disposition"] = f'attachment; filename="{campaign_id}.csv"'
        answer["Cache-Control"] = "no-store"
        return answer
