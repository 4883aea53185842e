"""The windows of coupons in calendars."""

from accounts.identity.scopes import COUPON_READ
from core.sql.composition import Sql, param, sql
from coupons.effects import id_of
from segments.calendar import CalendarSource, Range, register_calendar
from segments.visibility import on_site


def coupon_rows(range_: Range) -> Sql:
    """Return the coupons that are not deleted; on a site those that are restricted to one of its segments."""
    condition = Sql("TRUE")
    if range_.site_code:
        condition = sql(
            "coupon.id IN (SELECT restriction.coupon_id FROM coupons_couponsegment AS restriction"
            " JOIN segments_segment AS segment"
            " ON segment.tenant_id = restriction.tenant_id AND segment.id = restriction.segment_id"
            " WHERE restriction.tenant_id = {tenant} AND {on_site})",
            tenant=param(range_.tenant_id),
            on_site=on_site(range_.tenant_id, range_.site_code),
        )
    return sql(
        "SELECT {id} AS id, jsonb_build_object(tenant.default_language, coupon.name) AS name,"
        " NULL::text AS site_code, 'ACTIVE' AS status, coupon.valid_from, coupon.valid_to"
        " FROM coupons_coupon AS coupon JOIN tenancy_tenant AS tenant ON tenant.id = coupon.tenant_id"
        " WHERE coupon.tenant_id = {tenant} AND NOT coupon.is_deleted"
        " AND (coupon.valid_from IS NOT NULL OR coupon.valid_to IS NOT NULL) AND {condition}",
        id=id_of(range_.tenant_id),
        tenant=param(range_.tenant_id),
        condition=condition,
    )


register_calendar(CalendarSource("coupon", COUPON_READ, coupon_rows))
