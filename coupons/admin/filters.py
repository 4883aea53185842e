from collections.abc import Sequence
from typing import ClassVar

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin.declared import Text
from core.admin.filters import DaysFilter, LinkedFilter, visible_rows
from core.admin.keys import key_of, usable_keys
from coupons.diagnostics import keys_with_diagnostics
from coupons.models import CouponCampaign, CouponSegment
from coupons.models.coupons import CouponQuerySet
from segments.models import Segment

MOST_SEGMENTS = 200
MOST_CAMPAIGNS = 400
MOST_NAMED = 5


class StateFilter(admin.SimpleListFilter):
    """Coupons by their state now; deleted ones are left out unless they are asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [
            ("valid", _("Can be redeemed")),
            ("waiting", _("Starts later")),
            ("over", _("Over")),
            ("spent", _("All uses spent")),
            ("unredeemable", _("Nobody can redeem it")),
            ("deleted", _("Deleted")),
            ("any", _("Deleted ones too")),
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
            case "any":
                return queryset
        return queryset.live()


class ReservationStateFilter(admin.SimpleListFilter):
    """Reservations by what has become of them by now."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
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

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, Text]]:
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
        named = CouponSegment.objects.filter(segment__in=keys).order_by().values("coupon")
        restricted = Q(pk__in=named)
        if CodesFilter.parameter_name in request.GET:
            # the code of a campaign has the restrictions of its terms
            restricted |= Q(terms__in=named)
        return queryset.filter(restricted)


class RestrictionFilter(admin.SimpleListFilter):
    """Coupons by the kind of their restriction."""

    title = _("restriction")
    parameter_name = "restriction"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
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


class CodesFilter(LinkedFilter):
    """Coupons with the codes of campaigns, or only the codes of some, perhaps by what has become of them."""

    title = _("codes")
    parameter_name = "codes"
    EVERY = "any"
    STATES: ClassVar[dict[str, Text]] = {
        "": "",
        "open": _("unused"),
        "over": _("over"),
        "redeemed": _("redeemed"),
    }

    def __init__(
        self, request: HttpRequest, params: dict[str, str], model: type[Model], model_admin: ModelAdmin
    ) -> None:
        self.campaigns = visible_rows(CouponCampaign, request, model_admin)
        super().__init__(request, params, model, model_admin)

    @classmethod
    def value_of(cls, keys: Sequence[int], state: str = "") -> str:
        """Return the value for the codes of these campaigns; with a state only of those it is true of."""
        named = ",".join(map(str, keys))
        return f"{named}:{state}" if state else named

    def named(self) -> tuple[list[CouponCampaign], str]:
        """Return the campaigns, and what has become of their codes; no campaigns when there are none such."""
        keys, _separator, state = (self.value() or "").partition(":")
        if state not in self.STATES:
            return [], ""
        found = self.campaigns.filter(pk__in=[key_of(key) or 0 for key in keys.split(",")[:MOST_CAMPAIGNS]])
        return list(found.select_related("terms")), state

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        if value == self.EVERY:
            return gettext("Coupons and codes of campaigns, deleted ones too")
        campaigns, state = self.named()
        if not campaigns:
            return ""
        names = [campaign.terms.name for campaign in campaigns[:MOST_NAMED]]
        more = " …" if len(campaigns) > MOST_NAMED else ""
        return ", ".join(filter(None, [*names, str(self.STATES[state])])) + more

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in (None, self.EVERY):
            return queryset
        campaigns, state = self.named()
        # as `coupons.campaigns.counts` tells them apart
        is_over = Q(is_deleted=True) | Q(terms__valid_to__lt=timezone.now())
        states = {
            "": Q(),
            "open": Q(redemption_count=0) & ~is_over,
            "over": Q(redemption_count=0) & is_over,
            "redeemed": Q(redemption_count__gt=0),
        }
        return queryset.filter(states[state], terms__in=[campaign.terms_id for campaign in campaigns])


class IssuedFilter(DaysFilter):
    title = _("issued")
    column = "created_at"


class RedeemedFilter(DaysFilter):
    title = _("redeemed")
    column = "redeemed_at"


class OfRowFilter(LinkedFilter):
    """Redemptions by a row that the report is on, which a link names by its key."""

    model: type[Model]

    def row(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> Model | None:
        key = key_of(value)
        rows = visible_rows(self.model, request, model_admin)
        return None if key is None else rows.filter(pk=key).first()


class OfCampaignFilter(OfRowFilter):
    """Redemptions of the codes of a campaign."""

    title = _("campaign")
    parameter_name = "campaign"
    model = CouponCampaign

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        campaign = self.row(value, request, model_admin)
        return campaign.terms.name if isinstance(campaign, CouponCampaign) else ""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        campaigns = CouponCampaign.objects.filter(pk=key_of(self.value() or "") or 0)
        return queryset.filter(coupon__terms__in=campaigns.values("terms"))


class OfSegmentFilter(OfRowFilter):
    """Redemptions of coupons that name a segment."""

    title = _("segment")
    parameter_name = "segment"
    model = Segment

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        segment = self.row(value, request, model_admin)
        return "" if segment is None else str(segment)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        named = CouponSegment.objects.filter(segment=key_of(self.value() or "")).order_by().values("coupon")
        # the code of a campaign has the restrictions of its terms
        return queryset.filter(Q(coupon__in=named) | Q(coupon__terms__in=named))
