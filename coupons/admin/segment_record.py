"""The coupons of a segment, on the segment's page."""

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core.admin.counts import CappedCount, shown_count
from coupons.models import Coupon
from segments.console.record_parts import (
    Action,
    RecordNumber,
    ShownNumber,
    Tab,
    register_action,
    register_number,
    register_tab,
)
from segments.models import Segment


def coupons_page(segment: Segment) -> str:
    """Return the address of the list of the segment's coupons."""
    return f"{reverse('admin:coupons_coupon_changelist')}?segments={segment.pk}"


def coupon_numbers(segment: Segment) -> list[ShownNumber]:
    coupons = Coupon.objects.live().filter(
        segment_restrictions__segment=segment.pk, segment_restrictions__tenant=segment.tenant_id
    )
    rows = Segment.objects.filter(pk=segment.pk).values_list(CappedCount(coupons), flat=True)
    count = rows[0]
    return [ShownNumber(shown_count(count), ngettext("coupon", "coupons", count), coupons_page(segment))]


def new_coupon_page(segment: Segment) -> str:
    """Return the address of the form for a coupon that only the segment's members may use."""
    return f"{reverse('admin:coupons_coupon_add')}?segment={segment.pk}&tenant={segment.tenant_id}"


def new_campaign_page(segment: Segment) -> str:
    """Return the address of the form for many codes that only the segment's members may use."""
    return f"{reverse('admin:coupons_couponcampaign_add')}?segment={segment.pk}&tenant={segment.tenant_id}"


register_action(Action("coupon", _("Add coupon"), new_coupon_page, "coupons.add_coupon"))
register_action(Action("campaign", _("Add coupon codes"), new_campaign_page, "coupons.add_couponcampaign"))
register_number(RecordNumber("coupons", 50, "coupons.view_coupon", coupon_numbers))
register_tab(Tab("coupons", _("Coupons"), 50, coupons_page, "coupons.view_coupon"))
