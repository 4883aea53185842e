from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin import TenantAdmin, adopt
from core.admin.counts import MOST_COUNTED, shown_count
from core.admin.declared import Fieldsets, Names
from core.admin.faults import fault_text, refusal_text
from core.admin.tenants import staff_tenant_id
from core.bodies import Metadata
from core.errors import DomainError
from events.bodies import SubscriptionChange
from events.forms import ReplayForm, SubscriptionForm, TargetForm
from events.models import Delivery, DeliveryState, Subscription, SubscriptionState, Target, WebhookConfig
from events.operations.configuration import save_target, switch_config
from events.operations.deliveries import MOST_REPLAYED, replay_deliveries, send_again, send_test_event
from events.operations.subscriptions import store_subscription

ACTIONS = {SubscriptionState.SUBSCRIBED: "SUBSCRIBE", SubscriptionState.UNSUBSCRIBED: "UNSUBSCRIBE"}


@admin.register(Target)
class TargetAdmin(TenantAdmin):
    form = TargetForm
    explanation = _("Where events are sent. Each type of events may have several targets.")
    empty_state = _("Add a target, and subscribe to the events that it is to get.")
    list_display = ("title", "event_type", "destination_url", "state", "failing_since", "waiting")
    list_filter = ("is_active",)
    search_fields = ("name__holds", "destination_url__icontains", "event_type__exact")
    search_help_text = _("A part of a name or an address, or a type of events.")
    ordering = ("position", "id")
    actions = ("send_test_event", "send_failed_again")
    error_fields = {
        "destinationUrl": "destination_url",
        "eventType": "event_type",
        "excludedFields": "excluded_fields",
    }
    readonly_fields = ("state", "has_secret", "previous_secret_until", "failing_since", "resume_at")
    fieldsets = (
        (None, {"fields": ("event_type", "name", "destination_url", "is_active", "state")}),
        (_("Signature"), {"fields": ("new_secret", "has_secret", "previous_secret_until")}),
        (_("What is sent"), {"fields": ("filter", "excluded_fields", "headers")}),
        (_("Failures"), {"fields": ("failing_since", "resume_at")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: object = None) -> Fieldsets:
        """Leave out the field of a new secret for users who may only view: there is nothing in it to see."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "new_secret"]})
            for title, options in fieldsets
        ]

    @admin.display(description=_("Target"))
    def title(self, target: Target) -> str:
        if target.name or target.event_type:
            return target.name or target.event_type
        return gettext("Default target")

    @admin.display(description=_("State"))
    def state(self, target: Target) -> SafeString | str:
        if target._state.adding:
            return "-"
        if not target.is_active:
            text, style = fault_text(target.turned_off_reason) or gettext("Switched off"), "off"
        elif target.failing_since:
            text, style = gettext("Does not answer"), "waiting"
        else:
            text, style = gettext("Active"), "on"
        return format_html('<span class="status status-{}">{}</span>', style, text)

    @admin.display(description=_("Has a secret"), boolean=True)
    def has_secret(self, target: Target) -> bool:
        return bool(target.secret_key)

    @admin.display(description=_("Waiting"))
    def waiting(self, target: Target) -> str:
        rows = Delivery.objects.filter(target=target, state=DeliveryState.PENDING).order_by()
        return shown_count(rows[: MOST_COUNTED + 1].count())

    def save_model(self, request: HttpRequest, obj: Target, form: ModelForm, change: bool) -> None:
        secret = form.cleaned_data.get("new_secret") or None
        adopt(obj, save_target(target=obj, secret=secret, at=timezone.now()))

    @admin.action(description=_("Send a test event to the selected targets"), permissions=["change"])
    def send_test_event(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = 0
        for target in queryset.order_by("pk"):
            send_test_event(target=target, at=timezone.now())
            count += 1
        text = ngettext(
            "A test event is sent to %(count)d target. Deliveries show how it went.",
            "Test events are sent to %(count)d targets. Deliveries show how it went.",
            count,
        )
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    @admin.action(description=_("Send all failed deliveries of the targets again"), permissions=["change"])
    def send_failed_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = 0
        for target in queryset.order_by("pk"):
            failed = Delivery.objects.filter(target=target, state=DeliveryState.FAILED).order_by("pk")
            keys = list(failed.values_list("pk", flat=True)[:MOST_REPLAYED])
            count += send_again(keys, tenant_id=target.tenant_id, at=timezone.now())
        text = ngettext("%(count)d delivery is sent again.", "%(count)d deliveries are sent again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    def get_urls(self) -> list[URLPattern]:
        page = path("<int:key>/replay/", self.admin_site.admin_view(self.replay), name="events_target_replay")
        return [page, *super().get_urls()]

    def related_links(self, request: HttpRequest, obj: Target) -> list[dict[str, object]]:
        links = super().related_links(request, obj)
        if self.has_change_permission(request, obj):
            page = reverse("admin:events_target_replay", args=(obj.pk,))
            links.append({"url": page, "text": _("Send events again"), "note": ""})
        return links

    def replay(self, request: HttpRequest, key: int) -> HttpResponse:
        """Send the target once more what happened since an instant."""
        target = self.get_queryset(request).filter(pk=key).first()
        if target is None:
            raise Http404(_("There is no such target."))
        if not self.has_change_permission(request, target):
            raise PermissionDenied
        form = ReplayForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                count = replay_deliveries(target=target, **form.cleaned_data, at=timezone.now())
            except DomainError as refused:
                form.add_error(None, refusal_text(refused))
            else:
                text = ngettext("%(count)d event is sent again.", "%(count)d events are sent again.", count)
                self.message_user(request, text % {"count": count}, messages.SUCCESS)
                page = reverse("admin:events_delivery_changelist")
                return HttpResponseRedirect(f"{page}?target__id__exact={target.pk}")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Send events again"),
            "subtitle": str(target),
            "opts": self.opts,
            "target": target,
            "form": form,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/events/replay.html", context)


@admin.register(Subscription)
class SubscriptionAdmin(TenantAdmin):
    form = SubscriptionForm
    explanation = _("Which events the shop wants. Only these are made and sent.")
    empty_state = _("Add a subscription for each type of events that targets are to get.")
    list_display = ("event_type", "state", "excluded_fields", "modified_at")
    list_filter = ("state",)
    search_fields = ("event_type__icontains",)
    search_help_text = _("A part of a type of events.")
    ordering = ("event_type", "id")
    fields = ("event_type", "state", "excluded_fields")

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = list(super().get_readonly_fields(request, obj))
        return [*fields, "event_type"] if obj is not None else fields

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        stored = Subscription.objects.filter(tenant=obj.tenant, event_type=obj.event_type).first()
        wanted = list(obj.excluded_fields)
        present = stored.excluded_fields if stored else []
        body = SubscriptionChange(
            event_type=obj.event_type,
            action=ACTIONS[SubscriptionState(obj.state)],  # type: ignore[arg-type]
            metadata=Metadata(version=form.version_seen) if form.version_seen is not None else None,
            fields_to_unsubscribe=wanted,
            fields_to_subscribe=[name for name in present if name not in wanted],
        )
        adopt(obj, store_subscription(tenant=obj.tenant, change=body, at=timezone.now()))


@admin.register(WebhookConfig)
class WebhookConfigAdmin(TenantAdmin):
    explanation = _("Whether anything is sent at all. While it is switched off, events are dropped.")
    empty_state = _("It is made with the first target.")
    list_display = ("title", "is_active", "modified_at")
    list_display_links = ("title",)
    fields = ("is_active",)

    @admin.display(description=_("Webhook configuration"))
    def title(self, config: WebhookConfig) -> str:
        return str(config)

    def has_add_permission(self, request: HttpRequest) -> bool:
        tenant_id = staff_tenant_id(request)
        stored = WebhookConfig.objects.filter(tenant=tenant_id).exists() if tenant_id else False
        return super().has_add_permission(request) and not stored

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: WebhookConfig, form: object, change: bool) -> None:
        adopt(obj, switch_config(tenant=obj.tenant, is_active=obj.is_active, at=timezone.now()))
