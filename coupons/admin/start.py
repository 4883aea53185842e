"""The panels of the start page about coupons: how many can be redeemed, and redemptions by day."""

from datetime import timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.admin.charts import DayValue, line_chart
from core.admin.panels import Content, Panel, Place, register_panel
from core.sql.composition import integer, sql
from core.sql.time_limits import fetch_within
from core.tenancy.models import Tenant
from coupons import effects
from coupons.admin.reports import report_page
from coupons.models import Coupon, CouponCampaign
from coupons.reports import redemptions_by_day
from segments.console.object_pages import NamedObject, register_object

MOST_COUNTED = 10_000
QUICKLY = 200  # milliseconds
DAYS_SHOWN = 30


def redeemable(request: HttpRequest, shop: Tenant) -> Content:
    """How many coupons can be redeemed now, counted no further than 10,000."""
    if not request.user.has_perm("coupons.view_coupon"):
        return None
    statement = sql(
        "SELECT count(*) FROM (SELECT FROM coupons_coupon AS coupon WHERE {redeemable}"
        " LIMIT {most}) AS found",
        redeemable=effects.redeemable(shop.pk, timezone.now()),
        most=integer(MOST_COUNTED + 1),
    )
    rows = fetch_within(statement, milliseconds=QUICKLY)
    count = rows[0][0] if rows else None
    return {
        "count": None if count is None else min(count, MOST_COUNTED),
        "is_exact": count is not None and count <= MOST_COUNTED,
        "page": reverse("admin:coupons_coupon_changelist") + "?state=valid",
    }


def redemptions(request: HttpRequest, shop: Tenant) -> Content:
    """Redemptions of the last 30 days, as a line."""
    if not request.user.has_perm("coupons.view_redemption"):
        return None
    last = timezone.now().date()
    first = last - timedelta(days=DAYS_SHOWN - 1)
    counted = redemptions_by_day(shop.pk, first=first, last=last)
    days = [first + timedelta(days=place) for place in range(DAYS_SHOWN)]
    return {
        "chart": line_chart([DayValue(day, counted.get(day, 0)) for day in days]),
        "total": sum(counted.values()),
        "days": DAYS_SHOWN,
        "page": reverse("admin:coupons_redemption_changelist"),
        "report": report_page(),
    }


register_object(NamedObject("coupon", Coupon, "code"))
register_object(NamedObject("coupon", CouponCampaign, path=effects.CAMPAIGN))
register_panel(Panel("coupons", _("Coupons"), Place.NUMBER, 20, "admin/start/coupons.html", redeemable))
register_panel(
    Panel(
        "redemptions",
        _("Redemptions"),
        Place.SIDE,
        20,
        "admin/start/redemptions.html",
        redemptions,
        is_late=True,
    )
)
