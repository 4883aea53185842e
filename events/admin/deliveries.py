from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core.admin import AutocompleteFilter, TenantAdmin, shown_moment
from core.admin.counts import exact_count
from core.admin.faults import fault_text
from events.models import Delivery, DeliveryState
from events.operations.deliveries import send_again

STYLES = {DeliveryState.DELIVERED: "on", DeliveryState.PENDING: "waiting", DeliveryState.FAILED: "broken"}


@admin.register(Delivery)
class DeliveryAdmin(TenantAdmin):
    """Deliveries are made of events; here they are looked up and sent again."""

    explanation = _("What was sent to webhook targets, what waits, and what failed.")
    empty_state = _("Nothing was sent yet. Subscribe to events and add a target.")
    chooses_tenant = False
    list_display = (
        "event_name",
        "state_label",
        "target",
        "tries",
        "fault",
        "occurred_at",
    )
    list_select_related = ("event", "target")
    list_filter = ("state", ("target", AutocompleteFilter))
    search_fields = ("event__external_id__exact", "event__type__exact")
    search_help_text = _("The id of an event (webhook-id) or a type of events.")
    ordering = ("-id",)
    sortable_by = ()  # there are millions
    actions = ("retry",)
    fieldsets = (
        (None, {"fields": ("event_name", "event_id_text", "target", "state_label", "occurred_at")}),
        (
            _("Attempts"),
            {
                "fields": (
                    "attempts",
                    "first_attempt_at",
                    "last_attempt_at",
                    "finished_at",
                    "last_status",
                    "fault",
                    "last_answer",
                )
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return super().has_change_permission(request, obj) and obj is None  # for the action of the list

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description=_("Event"))
    def event_name(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description=_("Attempts"))
    def tries(self, delivery: Delivery) -> SafeString:
        """How many attempts there were, and below it when the last was and with which status it ended."""
        last = [shown_moment(delivery.last_attempt_at), delivery.last_status]
        below = format_html_join(" · ", "{}", ((one,) for one in last if one))
        return format_html('{}<span class="below">{}</span>', exact_count(delivery.attempts), below)

    @admin.display(description=_("Id of the event"))
    def event_id_text(self, delivery: Delivery) -> str:
        return delivery.event.external_id

    @admin.display(description=_("Happened"))
    def occurred_at(self, delivery: Delivery) -> SafeString:
        return shown_moment(delivery.event.occurred_at)

    @admin.display(description=_("Last error"))
    def fault(self, delivery: Delivery) -> str:
        return self.shown(fault_text(delivery.last_error))

    @admin.display(description=_("State"))
    def state_label(self, delivery: Delivery) -> SafeString:
        state = DeliveryState(delivery.state)
        return format_html(
            '<span class="status status-{}">{}</span>', STYLES.get(state, "off"), delivery.get_state_display()
        )

    @admin.action(description=_("Send the selected deliveries again"), permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet) -> None:
        at = timezone.now()
        by_tenant: dict[int, list[int]] = {}
        for tenant_id, key in queryset.order_by("pk").values_list("tenant_id", "pk"):
            by_tenant.setdefault(tenant_id, []).append(key)
        count = sum(send_again(keys, tenant_id=tenant, at=at) for tenant, keys in by_tenant.items())
        text = ngettext("%(count)d delivery is sent again.", "%(count)d deliveries are sent again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
