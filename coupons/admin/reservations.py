from django.contrib import admin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteFilter, TenantAdmin
from coupons.admin.amounts import money_text
from coupons.admin.filters import ReservationStateFilter
from coupons.admin.links import coupon_link
from coupons.models import Coupon, Reservation
from coupons.operations import release_cart, release_reservation


@admin.register(Reservation)
class ReservationAdmin(TenantAdmin):
    """Reservations are only made by the API. Deleting one releases it."""

    explanation = _("Uses of coupons that are held while an order may still fail. Delete one to release it.")
    empty_state = _("Nothing has been reserved.")
    chooses_tenant = False
    list_display = (
        "reserved_at",
        "state",
        "expires_at",
        "coupon_link",
        "customer_number",
        "total",
        "discount",
    )
    list_display_links = ("reserved_at",)
    list_select_related = ("coupon",)
    list_filter = (ReservationStateFilter, ("coupon", AutocompleteFilter))
    search_fields = ("customer_number__exact", "external_id__exact")
    search_help_text = _("A customer number or the id of a reservation.")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("external_id", "state", "coupon_link", "reserved_at", "expires_at", "ended_at")}),
        (_("Customer"), {"fields": ("customer_number", "legal_entity_id")}),
        (_("Order"), {"fields": ("order_code", "total", "discount", "cart_id", "redemption_id")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Reservation | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.ended_at)

    @admin.display(description=_("State"))
    def state(self, reservation: Reservation) -> SafeString:
        if reservation.redemption_id:
            text, style = gettext("Confirmed"), "over"
        elif reservation.ended_at:
            text, style = gettext("Released"), "off"
        elif reservation.expires_at > timezone.now():
            text, style = gettext("Counts"), "on"
        else:
            text, style = gettext("Over"), "over"
        return format_html('<span class="status status-{}">{}</span>', style, text)

    @admin.display(description=_("Coupon"), ordering="coupon")
    def coupon_link(self, reservation: Reservation) -> SafeString | str:
        return coupon_link(reservation.coupon)

    @admin.display(description=_("Total"), ordering="order_total_amount")
    def total(self, reservation: Reservation) -> str:
        return self.shown(money_text(reservation.order_total_amount, reservation.order_total_currency))

    @admin.display(description=_("Discount"), ordering="discount_amount")
    def discount(self, reservation: Reservation) -> str:
        return self.shown(money_text(reservation.discount_amount, reservation.discount_currency))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Release those that are open, each cart as a whole; all their coupons are locked first."""
        at = timezone.now()
        chosen = Reservation.objects.filter(
            pk__in=queryset.order_by().values("pk"), ended_at__isnull=True
        ).order_by("coupon_id", "id")
        carts = list(chosen.exclude(cart_id="").order_by().values_list("tenant_id", "cart_id").distinct())
        held = Reservation.objects.filter(
            Q(pk__in=chosen.order_by().values("pk")) | Q(cart_id__in=[cart for _tenant, cart in carts])
        )
        coupons = Coupon.objects.select_for_update(of=("self",)).order_by("pk")
        list(coupons.filter(pk__in=held.order_by().values("coupon")))
        for tenant_id, cart_id in carts:
            release_cart(tenant_id=tenant_id, cart_id=cart_id, at=at)
        for tenant_id, code, reservation_id in chosen.filter(cart_id="").values_list(
            "tenant_id", "coupon__code", "external_id"
        ):
            release_reservation(tenant_id=tenant_id, code=code, reservation_id=reservation_id, at=at)
