"""What needs a merchandiser's attention among coupons that are restricted to segments."""

from datetime import datetime

from django.utils.translation import gettext_noop
from msgspec.structs import replace

from accounts.identity.scopes import COUPON_READ
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from coupons.effects import CAMPAIGN, id_of
from coupons.operations import end_campaign, revise_coupon
from segments.findings import Finding, Remedy, live, register_findings


def restricted(tenant_id: int, at: datetime, *, details: str, joined: Sql, condition: Sql) -> Sql:
    """A SELECT of the coupons that may be used now or later and whose segments meet a condition."""
    return sql(
        "SELECT {id} AS id, CASE WHEN coupon.terms_id = coupon.id THEN"
        " (SELECT jsonb_build_object(tenant.default_language, coupon.name) FROM tenancy_tenant AS tenant"
        " WHERE tenant.id = coupon.tenant_id) END AS name, {details} AS details FROM coupons_coupon AS coupon"
        " CROSS JOIN LATERAL (SELECT array_agg(restriction.segment_external_id ORDER BY 1) AS ids,"
        " count(segment.id) AS number,"
        " count(segment.id) FILTER (WHERE segment.valid_to IS NULL) AS endless,"
        " count(segment.id) FILTER (WHERE segment.valid_from IS NULL) AS beginless,"
        " min(segment.valid_from) AS first, max(segment.valid_to) AS last"
        " FROM coupons_couponsegment AS restriction LEFT JOIN segments_segment AS segment"
        " ON segment.tenant_id = restriction.tenant_id AND segment.id = restriction.segment_id AND {live}"
        " WHERE restriction.coupon_id = coupon.id) AS segments"
        " WHERE coupon.tenant_id = {tenant} AND coupon.is_segment_restricted AND NOT coupon.is_deleted"
        " AND (coupon.valid_to IS NULL OR coupon.valid_to >= {at})"
        " AND (coupon.max_redemptions IS NULL OR coupon.redemption_count < coupon.max_redemptions)"
        " AND {condition}",
        id=id_of(tenant_id),
        details=Sql(details),
        live=joined,
        tenant=param(tenant_id),
        at=param(at),
        condition=condition,
    )


def without_live_segment(tenant_id: int, at: datetime) -> Sql:
    return restricted(
        tenant_id,
        at,
        details="jsonb_build_object('segments', segments.ids)",
        joined=live(at),
        condition=Sql("segments.number = 0"),
    )


def outliving(tenant_id: int, at: datetime) -> Sql:
    return restricted(
        tenant_id,
        at,
        details="jsonb_build_object('segments', segments.ids, 'segmentsEnd', segments.last,"
        " 'validTo', coupon.valid_to)",
        joined=live(at),
        condition=Sql(
            "segments.number > 0 AND segments.endless = 0"
            " AND (coupon.valid_to IS NULL OR coupon.valid_to > segments.last)"
            " AND (coupon.valid_from IS NULL OR coupon.valid_from <= segments.last)"
        ),
    )


def never_overlapping(tenant_id: int, at: datetime) -> Sql:
    return restricted(
        tenant_id,
        at,
        details="jsonb_build_object('segments', segments.ids, 'segmentsStart', segments.first,"
        " 'segmentsEnd', segments.last)",
        joined=live(at),
        condition=Sql(
            "segments.number > 0 AND (segments.endless = 0 AND coupon.valid_from > segments.last"
            " OR segments.beginless = 0 AND coupon.valid_to < segments.first)"
        ),
    )


def right_to_change(coupon_id: str) -> str:
    """Return the right to change the coupon, or the campaign, of this id."""
    return "coupons.change_couponcampaign" if coupon_id.startswith(CAMPAIGN) else "coupons.change_coupon"


def align_end(tenant_id: int, coupon_id: str, at: datetime) -> None:
    """Give the coupon or campaign the end of the last of its segments, if it is valid longer."""
    rows = fetch_rows(
        sql(
            "SELECT details->>'segmentsEnd' FROM ({outliving}) AS found WHERE found.id = {id}",
            outliving=outliving(tenant_id, at),
            id=param(coupon_id),
        )
    )
    if not rows:
        return
    ends_at = datetime.fromisoformat(rows[0][0])
    if coupon_id.startswith(CAMPAIGN):
        campaign_id = coupon_id.removeprefix(CAMPAIGN)
        end_campaign(tenant_id=tenant_id, campaign_id=campaign_id, ends_at=ends_at, at=at)
        return
    revise_coupon(
        tenant_id=tenant_id,
        code=coupon_id,
        revise=lambda body: replace(body, restrictions=replace(body.restrictions, valid_to=ends_at)),
        at=at,
    )


register_findings(
    Finding(
        "coupon_without_live_segment",
        "error",
        "coupon",
        gettext_noop(
            "All segments of the coupon are inactive, over or deleted: nobody can redeem it."
            " Name another segment."
        ),
        without_live_segment,
        COUPON_READ,
    ),
    Finding(
        "coupon_outlives_segments",
        "warning",
        "coupon",
        gettext_noop(
            "The coupon is valid longer than its segments, when nobody can redeem it: align the ends."
        ),
        outliving,
        COUPON_READ,
        Remedy(gettext_noop("Align the ends"), right_to_change, align_end),
    ),
    Finding(
        "coupon_window_never_overlaps",
        "error",
        "coupon",
        gettext_noop(
            "The coupon's validity lies outside that of its segments: nobody can ever redeem it. Align them."
        ),
        never_overlapping,
        COUPON_READ,
    ),
)
