"""What a change of segments or categories does to coupons."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext_noop

from accounts.identity.scopes import COUPON_READ
from catalog.subtrees import is_shown
from core.sql.composition import Sql, SqlValues, param, sql
from core.sql.fetching import fetch_rows
from core.windows import open_at
from coupons.models import Coupon, CouponCampaign
from coupons.operations.of_segments import count_only_of, delete_coupons_only_of
from segments.counting import Count
from segments.effects import Dependent, DependentEffect, Difference, register_dependent

LATELY: Final = timedelta(days=30)
MOST_IDS: Final = 20
CAMPAIGN: Final = "coupon-campaigns/"
"""What the ids of campaigns begin with, as in their addresses. No code contains a slash."""
COUPONS_PAGE: Final = ("admin:coupons_coupon_changelist", "code__in")
CAMPAIGNS_PAGE: Final = ("admin:coupons_couponcampaign_changelist", "external_id__in")


def redeemable(tenant_id: int, at: datetime) -> Sql:
    """The condition that the row `coupon` could be redeemed at that instant by somebody it is for."""
    return sql(
        "coupon.tenant_id = {tenant} AND NOT coupon.is_deleted AND {window}"
        " AND (coupon.max_redemptions IS NULL OR coupon.redemption_count < coupon.max_redemptions)",
        tenant=param(tenant_id),
        window=open_at(at, "coupon"),
    )


def id_of(tenant_id: int) -> Sql:
    """The id of the row `coupon` in effects: its code; of a campaign's terms the path of the campaign."""
    return sql(
        "coalesce((SELECT {path} || campaign.external_id FROM coupons_couponcampaign AS campaign"
        " WHERE campaign.tenant_id = {tenant} AND campaign.terms_id = coupon.id), coupon.code)",
        path=param(CAMPAIGN, "text"),
        tenant=param(tenant_id),
    )


def effect(tenant_id: int, judged: Sql, at: datetime) -> DependentEffect:
    """Return what becomes of coupons: `judged` selects id, code, works_before and works_after."""
    rows: list[SqlValues] = fetch_rows(
        sql(
            "WITH judged AS MATERIALIZED ({judged}),"
            " stopping AS MATERIALIZED (SELECT id, code FROM judged WHERE works_before AND NOT works_after),"
            " starting AS MATERIALIZED (SELECT id, code FROM judged WHERE works_after AND NOT works_before)"
            " SELECT (SELECT count(*) FROM stopping), (SELECT count(*) FROM starting),"
            " ARRAY(SELECT {id} FROM (SELECT * FROM stopping UNION ALL SELECT * FROM starting) AS coupon"
            " ORDER BY coupon.code LIMIT {most}),"
            # of a campaign its codes are redeemed, never the row that holds their terms
            " (SELECT count(*) FROM (SELECT id FROM stopping UNION ALL SELECT code.id FROM stopping"
            " JOIN coupons_coupon AS code ON code.terms_id = stopping.id"
            " WHERE code.tenant_id = {tenant} AND code.id <> stopping.id) AS used"
            " JOIN coupons_redemption AS redemption ON redemption.coupon_id = used.id"
            " WHERE redemption.redeemed_at > {since} AND redemption.redeemed_at <= {at})",
            judged=judged,
            id=id_of(tenant_id),
            most=param(MOST_IDS),
            tenant=param(tenant_id),
            since=param(at - LATELY),
            at=param(at),
        )
    )
    [(stopping, starting, codes, used)] = rows
    return DependentEffect(
        stopping=Count(value=stopping),
        starting=Count(value=starting),
        ids=codes,
        used_lately=Count(value=used),
    )


def of_segments(difference: Difference) -> DependentEffect:
    """Return which coupons lose their last effective segment, and which get their first one."""
    before, after = (
        sql(
            "EXISTS (SELECT FROM coupons_couponsegment AS restriction JOIN segments_segment AS segment"
            " ON segment.tenant_id = restriction.tenant_id AND segment.id = restriction.segment_id"
            " WHERE restriction.coupon_id = coupon.id AND {effective})",
            effective=effective,
        )
        for effective in (difference.effective_before, difference.effective_after)
    )
    judged = sql(
        "SELECT coupon.id, coupon.code, {before} AS works_before, {after} AS works_after"
        " FROM coupons_coupon AS coupon WHERE coupon.is_segment_restricted AND {redeemable}"
        " AND coupon.id IN (SELECT restriction.coupon_id FROM coupons_couponsegment AS restriction"
        " WHERE restriction.tenant_id = {tenant} AND restriction.segment_id = ANY({changing}))",
        before=before,
        after=after,
        redeemable=redeemable(difference.tenant_id, difference.at),
        tenant=param(difference.tenant_id),
        changing=param([*difference.losing, *difference.gaining], "bigint[]"),
    )
    return effect(difference.tenant_id, judged, difference.at)


def of_categories(tenant_id: int, hidden: Sql, shown: Sql, at: datetime) -> DependentEffect:
    """Return which coupons lose the last published category that they are for, and which get one."""
    judged = sql(
        "SELECT coupon.id, coupon.code, bool_or(restriction.is_shown) AS works_before,"
        " bool_or(restriction.is_shown AND NOT restriction.is_hidden OR restriction.begins) AS works_after"
        " FROM coupons_coupon AS coupon JOIN LATERAL ("
        "SELECT {is_shown} AS is_shown, restriction.category_id IN ({hidden}) AS is_hidden,"
        " restriction.category_id IN ({shown}) AS begins FROM coupons_couponcategory AS restriction"
        " WHERE restriction.coupon_id = coupon.id AND NOT restriction.is_excluded"
        " AND restriction.category_id IS NOT NULL) AS restriction ON TRUE"
        " WHERE coupon.is_category_restricted AND {redeemable}"
        " AND coupon.id IN (SELECT named.coupon_id FROM coupons_couponcategory AS named"
        " WHERE named.tenant_id = {tenant} AND named.category_id IN ({hidden} UNION ALL {shown}))"
        " GROUP BY coupon.id, coupon.code",
        is_shown=is_shown(Sql("restriction.category_id")),
        hidden=hidden,
        shown=shown,
        redeemable=redeemable(tenant_id, at),
        tenant=param(tenant_id),
    )
    return effect(tenant_id, judged, at)


def opened_by(tenant_id: int, segment: int, at: datetime) -> tuple[int, list[str]]:
    """Return how many coupons members of the segment may redeem, and the ids of some."""
    rows: list[SqlValues] = fetch_rows(
        sql(
            "WITH opened AS MATERIALIZED (SELECT coupon.id, coupon.code"
            " FROM coupons_couponsegment AS restriction JOIN coupons_coupon AS coupon"
            " ON coupon.tenant_id = restriction.tenant_id AND coupon.id = restriction.coupon_id"
            " WHERE restriction.tenant_id = {tenant} AND restriction.segment_id = {segment}"
            " AND coupon.is_segment_restricted AND {redeemable})"
            " SELECT (SELECT count(*) FROM opened),"
            " ARRAY(SELECT {id} FROM opened AS coupon ORDER BY coupon.code LIMIT {most})",
            id=id_of(tenant_id),
            tenant=param(tenant_id),
            segment=param(segment),
            redeemable=redeemable(tenant_id, at),
            most=param(MOST_IDS),
        )
    )
    return rows[0][0], rows[0][1]


def by_list(ids: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """Return the admin's lists of these, each by its parameter for some, with what that takes."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in ids:
        page = CAMPAIGNS_PAGE if one.startswith(CAMPAIGN) else COUPONS_PAGE
        found.setdefault(page, []).append(one.removeprefix(CAMPAIGN))
    return found


def called(tenant_id: int, ids: Sequence[str]) -> list[str]:
    """Return the codes as pages show them, and the names of campaigns, in the order of the ids."""
    lists = by_list(ids)
    names: dict[str, str] = {}
    if codes := lists.get(COUPONS_PAGE):
        coupons = Coupon.objects.filter(tenant=tenant_id, code__in=codes)
        names |= {coupon.code: coupon.shown_code for coupon in coupons}
    if campaigns := lists.get(CAMPAIGNS_PAGE):
        rows = CouponCampaign.objects.filter(tenant=tenant_id, external_id__in=campaigns)
        names |= {f"{CAMPAIGN}{row.external_id}": row.terms.name for row in rows.select_related("terms")}
    return [names[one] for one in ids if one in names]


register_dependent(
    Dependent(
        type="coupon",
        singular=gettext_noop("coupon"),
        plural=gettext_noop("coupons"),
        scope=COUPON_READ,
        permission="coupons.{action}_coupon",
        page=COUPONS_PAGE[0],
        page_parameter="segments",
        category_parameter="categories",
        of_segments=of_segments,
        of_categories=of_categories,
        only_of=count_only_of,
        delete_only_of=delete_coupons_only_of,
        opened_by=opened_by,
        called=called,
        by_list=by_list,
    )
)
