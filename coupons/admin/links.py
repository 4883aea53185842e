from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from coupons.models import Coupon


def coupon_link(coupon: Coupon) -> SafeString | str:
    """Return the code with a link to the coupon's page; the code of a campaign has none."""
    if coupon.terms_id is not None:
        return coupon.shown_code
    page = reverse("admin:coupons_coupon_change", args=(coupon.pk,))
    return format_html('<a href="{}">{}</a>', page, coupon.code)
