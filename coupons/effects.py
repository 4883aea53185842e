"""What a change of segments or categories does to coupons."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext_lazy, gettext_noop

from accounts.identity.scopes import COUPON_READ
from catalog.subtrees import is_shown
from core.sql.composition import Sql, SqlValues, param, sql
from core.sql.fetching import fetch_rows
from core.windows import open_at
from coupons.models import Coupon, CouponCampaign, Redemption
from coupons.operations.of_segments import count_only_of, delete_coupons_only_of
from segments.console.effect_lists import EffectList, register_effect_list
from segments.counting import Count
from segments.effects import (
    CategoryDifference,
    Dependent,
    DependentEffect,
    Difference,
    register_dependent,
)
from segments.effects.addresses import Counted

LATELY: Final = timedelta(days=30)
MOST_IDS: Final = 20
CAMPAIGN: Final = "coupon-campaigns/"
"""What the ids of campaigns begin with, as in their addresses. No code contains a slash."""


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


CHANGED: Final = {
    Counted.STOPPING: "works_before AND NOT works_after",
    Counted.STARTING: "works_after AND NOT works_before",
}


def coupons_that(counted: Counted, difference: Difference | CategoryDifference) -> Sql:
    """A SELECT of the id and code of the coupons that stop or begin to work."""
    return sql(
        "SELECT id, code FROM ({judged}) AS judged WHERE {changed}",
        judged=judged_by(difference),
        changed=Sql(CHANGED[counted]),
    )


def uses_of(stopping: Sql, difference: Difference | CategoryDifference) -> Sql:
    """A SELECT of the redemptions, in the 30 days before, of coupons that stop working."""
    return sql(
        # of a campaign its codes are redeemed, never the row that holds their terms
        "SELECT redemption.id FROM (SELECT stopping.id FROM ({stopping}) AS stopping UNION ALL SELECT code.id"
        " FROM ({stopping}) AS stopping JOIN coupons_coupon AS code ON code.terms_id = stopping.id"
        " WHERE code.tenant_id = {tenant} AND code.id <> stopping.id) AS used"
        " JOIN coupons_redemption AS redemption ON redemption.coupon_id = used.id"
        " WHERE redemption.redeemed_at > {since} AND redemption.redeemed_at <= {at}",
        stopping=stopping,
        tenant=param(difference.tenant_id),
        since=param(difference.at - LATELY),
        at=param(difference.at),
    )


def effect_of(difference: Difference | CategoryDifference) -> DependentEffect:
    """Return what becomes of coupons, in one statement."""
    rows: list[SqlValues] = fetch_rows(
        sql(
            "WITH judged AS MATERIALIZED ({judged}),"
            " stopping AS MATERIALIZED (SELECT id, code FROM judged WHERE {stops}),"
            " starting AS MATERIALIZED (SELECT id, code FROM judged WHERE {starts})"
            " SELECT (SELECT count(*) FROM stopping), (SELECT count(*) FROM starting),"
            " ARRAY(SELECT {id} FROM (SELECT * FROM stopping UNION ALL SELECT * FROM starting) AS coupon"
            " ORDER BY coupon.code LIMIT {most}),"
            " (SELECT count(*) FROM ({uses}) AS used)",
            judged=judged_by(difference),
            stops=Sql(CHANGED[Counted.STOPPING]),
            starts=Sql(CHANGED[Counted.STARTING]),
            id=id_of(difference.tenant_id),
            most=param(MOST_IDS),
            uses=uses_of(Sql("SELECT id FROM stopping"), difference),
        )
    )
    [(stopping, starting, codes, used)] = rows
    return DependentEffect(
        stopping=Count(value=stopping),
        starting=Count(value=starting),
        ids=codes,
        used_lately=Count(value=used),
    )


def judged_by(difference: Difference | CategoryDifference) -> Sql:
    """A SELECT of coupons' id, code, works_before and works_after; `redeemable` ones only."""
    return (
        judged_by_segments(difference)
        if isinstance(difference, Difference)
        else judged_by_categories(difference)
    )


def judged_by_segments(difference: Difference) -> Sql:
    """As `judged_by`: a coupon works while one of its segments is effective."""
    before, after = (
        sql(
            "EXISTS (SELECT FROM coupons_couponsegment AS restriction JOIN segments_segment AS segment"
            " ON segment.tenant_id = restriction.tenant_id AND segment.id = restriction.segment_id"
            " WHERE restriction.coupon_id = coupon.id AND {effective})",
            effective=effective,
        )
        for effective in (difference.effective_before, difference.effective_after)
    )
    return sql(
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


def judged_by_categories(difference: CategoryDifference) -> Sql:
    """As `judged_by`: a coupon works while one of the categories that it is for is shown."""
    return sql(
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
        hidden=difference.hidden,
        shown=difference.shown,
        redeemable=redeemable(difference.tenant_id, difference.at),
        tenant=param(difference.tenant_id),
    )


def opened_coupons(tenant_id: int, segments: Sequence[int], at: datetime) -> Sql:
    """A SELECT of the id and code of the coupons that members of one of the segments may redeem."""
    return sql(
        "SELECT coupon.id, coupon.code"
        " FROM coupons_couponsegment AS restriction JOIN coupons_coupon AS coupon"
        " ON coupon.tenant_id = restriction.tenant_id AND coupon.id = restriction.coupon_id"
        " WHERE restriction.tenant_id = {tenant} AND restriction.segment_id = ANY({segments})"
        " AND coupon.is_segment_restricted AND {redeemable}",
        tenant=param(tenant_id),
        segments=param(list(segments), "bigint[]"),
        redeemable=redeemable(tenant_id, at),
    )


def opened_by(tenant_id: int, segment: int, at: datetime) -> tuple[int, list[str]]:
    """Return how many coupons members of the segment may redeem, and the ids of some."""
    rows: list[SqlValues] = fetch_rows(
        sql(
            "WITH opened AS MATERIALIZED ({opened}) SELECT (SELECT count(*) FROM opened),"
            " ARRAY(SELECT {id} FROM opened AS coupon ORDER BY coupon.code LIMIT {most})",
            opened=opened_coupons(tenant_id, [segment], at),
            id=id_of(tenant_id),
            most=param(MOST_IDS),
        )
    )
    return rows[0][0], rows[0][1]


def called(tenant_id: int, ids: Sequence[str]) -> list[str]:
    """Return the codes as pages show them, and the names of campaigns, in the order of the ids."""
    campaigns = [one.removeprefix(CAMPAIGN) for one in ids if one.startswith(CAMPAIGN)]
    names: dict[str, str] = {}
    if codes := [one for one in ids if not one.startswith(CAMPAIGN)]:
        coupons = Coupon.objects.filter(tenant=tenant_id, code__in=codes)
        names |= {coupon.code: coupon.shown_code for coupon in coupons}
    if campaigns:
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
        page="admin:coupons_coupon_changelist",
        uses_page="admin:coupons_redemption_changelist",
        effect_of=effect_of,
        only_of=count_only_of,
        delete_only_of=delete_coupons_only_of,
        opened_by=opened_by,
        called=called,
    )
)


def listed_coupons(counted: str, difference: Difference | CategoryDifference) -> Sql | None:
    """Select the coupons, campaigns by their terms, that a change makes work or not, or that members have."""
    if counted != Counted.OPENED:
        found = coupons_that(Counted(counted), difference)
    elif isinstance(difference, Difference):
        found = opened_coupons(difference.tenant_id, difference.gaining, difference.at)
    else:
        return None
    return sql("SELECT found.id FROM ({found}) AS found", found=found)


def listed_uses(counted: str, difference: Difference | CategoryDifference) -> Sql:
    """Select the redemptions, in the 30 days before, of coupons that a change stops."""
    return uses_of(coupons_that(Counted.STOPPING, difference), difference)


register_effect_list(
    Coupon._meta.label,
    EffectList(
        {
            Counted.STOPPING: gettext_lazy("stop working with a change of {names}"),
            Counted.STARTING: gettext_lazy("begin to work with a change of {names}"),
            Counted.OPENED: gettext_lazy("open to members of {names}"),
        },
        listed_coupons,
    ),
)
register_effect_list(
    Redemption._meta.label,
    EffectList(
        {Counted.USED: gettext_lazy("of coupons that stop working with a change of {names}")}, listed_uses
    ),
)
