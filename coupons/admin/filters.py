from typing import Any

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.admin.filters import visible_rows
from core.admin.keys import usable_keys
from coupons.diagnostics import keys_with_diagnostics
from coupons.models import CouponSegment
from coupons.models.coupons import CouponQuerySet
from segments.models import Segment

MOST_SEGMENTS = 200
MOST_NAMED = 5


class StateFilter(admin.SimpleListFilter):
    """Coupons by their state now; deleted ones are left out unless they are asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [
            ("valid", _("Can be redeemed")),
            ("waiting", _("Starts later")),
            ("over", _("Over")),
            ("spent", _("All uses spent")),
            ("unredeemable", _("Nobody can redeem it")),
            ("deleted", _("Deleted")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        assert isinstance(queryset, CouponQuerySet)
        now = timezone.now()
        match self.value():
            case "valid":
                return queryset.live().open_at(now).unspent()
            case "waiting":
                return queryset.live().filter(valid_from__gt=now)
            case "over":
                return queryset.live().filter(valid_to__lt=now)
            case "spent":
                return queryset.live().filter(redemption_count__gte=F("max_redemptions"))
            case "unredeemable":
                keys = keys_with_diagnostics(now)
                # text from the code; values are parameters
                selected = RawSQL(f"({keys.sql})", keys.params)  # noqa: S611
                return queryset.live().filter(pk__in=selected)
            case "deleted":
                return queryset.filter(is_deleted=True)
        return queryset.live()


class ReservationStateFilter(admin.SimpleListFilter):
    """Reservations by what has become of them by now."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [
            ("live", _("Counts")),
            ("over", _("Over")),
            ("confirmed", _("Confirmed")),
            ("released", _("Released")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        match self.value():
            case "live":
                return queryset.filter(ended_at__isnull=True, expires_at__gt=now)
            case "over":
                return queryset.filter(ended_at__isnull=True, expires_at__lte=now)
            case "confirmed":
                return queryset.exclude(redemption_id="")
            case "released":
                return queryset.filter(ended_at__isnull=False, redemption_id="")
        return queryset


class OfSegmentsFilter(admin.SimpleListFilter):
    """Coupons that name one of the segments that a link names by their keys, separated by commas."""

    title = _("segments")
    parameter_name = "segments"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        chosen = request.GET.get(self.parameter_name, "")
        keys = usable_keys(Segment._meta.pk, chosen.split(",")[:MOST_SEGMENTS])
        if not keys:
            return []
        segments = visible_rows(Segment, request, model_admin).filter(pk__in=keys)
        return [(chosen, ", ".join(map(str, segments[:MOST_NAMED])))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        keys = usable_keys(Segment._meta.pk, (self.value() or "").split(",")[:MOST_SEGMENTS])
        if not keys:
            return queryset
        named = CouponSegment.objects.filter(segment__in=keys)
        return queryset.filter(pk__in=named.order_by().values("coupon"))


class RestrictionFilter(admin.SimpleListFilter):
    """Coupons by the kind of their restriction."""

    title = _("restriction")
    parameter_name = "restriction"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [
            ("segments", _("Segments")),
            ("categories", _("Categories")),
            ("customers", _("Single customers")),
            ("none", _("None")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        restrictions = {
            "segments": Q(is_segment_restricted=True),
            "categories": Q(is_category_restricted=True),
            "customers": ~Q(valid_for=[]),
        }
        value = self.value()
        if value == "none":
            return queryset.filter(is_segment_restricted=False, is_category_restricted=False, valid_for=[])
        return queryset.filter(restrictions[value]) if value in restrictions else queryset
