"""What the journal records of coupons and their redemptions."""

from core.journal.declarations import RecordedDocument, following, if_stored, leave_out, record
from core.journal.partitions import RECENT
from coupons.models import Coupon, CouponCampaign, CouponCategory, CouponSegment, CouponSettings, Redemption
from coupons.models.campaigns import MADE_AT_ONCE
from coupons.report_counts import OF_COUPONS, OF_REDEMPTIONS, OF_RESTRICTIONS
from segments.rules.triggers import on_rows
from segments.rules.unsettled import note_when_settling

record(
    following(
        RecordedDocument(
            model=Coupon,
            object="coupon",
            external_id="it.code",
            derived=("redemption_count",),
            ignores_derived=True,  # with each redemption
            refusals={
                "its campaign has handed its codes out": "change.kind = 'created' AND EXISTS (SELECT"
                " FROM coupons_couponcampaign AS campaign WHERE campaign.tenant_id = present.tenant_id"
                " AND campaign.terms_id = present.terms_id AND campaign.exported_at IS NOT NULL)",
                # or the campaign would stay with some of its codes
                "codes of its campaign have been used": "change.kind = 'created' AND EXISTS (SELECT"
                " FROM coupons_couponcampaign AS campaign JOIN coupons_coupon AS code"
                " ON code.tenant_id = campaign.tenant_id AND code.terms_id = campaign.terms_id"
                " WHERE campaign.tenant_id = present.tenant_id AND campaign.terms_id = present.terms_id"
                f" AND campaign.code_count <= {MADE_AT_ONCE} AND code.redemption_count > 0)",
                "it holds the terms of a campaign": "change.before ? 'terms_id' AND EXISTS (SELECT"
                " FROM coupons_couponcampaign AS campaign WHERE campaign.tenant_id = present.tenant_id"
                " AND campaign.terms_id = present.id)",
            },
        ),
        OF_COUPONS,
    ),
    following(
        RecordedDocument(
            model=CouponSegment,
            object="coupon-segment",
            external_id="it.segment_external_id",
            owner="it.coupon_id",
            part_of="coupon",
        ),
        OF_RESTRICTIONS,
    ),
    RecordedDocument(
        model=CouponCategory,
        object="coupon-category",
        external_id="it.category_external_id",
        owner="it.coupon_id",
        part_of="coupon",
    ),
    RecordedDocument(
        model=CouponCampaign,
        object="coupon-campaign",
        refusals={
            "its codes were handed out": "change.kind = 'updated' AND change.before ? 'exported_at'",
            "it has codes": "change.kind = 'created' AND EXISTS (SELECT FROM coupons_coupon AS code"
            " WHERE code.tenant_id = present.tenant_id AND code.terms_id = present.terms_id"
            " AND code.id <> present.terms_id)",
        },
    ),
    RecordedDocument(model=CouponSettings, object="coupon-settings", external_id="NULL"),
    following(
        RecordedDocument(
            model=Redemption,
            object="redemption",
            owner="it.coupon_id",
            is_appended=True,
            is_copied_later=True,
        ),
        on_rows("redemption", events=("UPDATE", "DELETE")),
        if_stored(RECENT, {"INSERT": ""}, on_rows("redemption", events=("INSERT",))),
        OF_REDEMPTIONS,
    ),
)
note_when_settling("redemption")
leave_out(
    {
        "coupons.Reservation": "lives for minutes; what comes of it is a redemption, which is recorded",
        "coupons.ReportCount": "sums of coupons and redemptions, which are recorded",
        "coupons.ReportAddition": "as ReportCount",
        "coupons.JudgementCount": "counts what was asked; nothing of the shop depends on it",
    }
)
