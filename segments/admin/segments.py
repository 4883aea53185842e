from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from core.admin import TenantAdmin, adopt, window_text
from core.admin.counts import exact_count
from core.bodies import read_body
from core.representation.languages import Name, Translations
from core.search import translations_of
from segments.admin.bulk_add import BulkAddPages
from segments.admin.combine import CombinePages
from segments.admin.filters import EffectiveFilter
from segments.admin.record import SegmentRecord, list_page, state_of
from segments.admin.rules import RulePages
from segments.bodies import IdentifiedSegmentBody, expecting, segment_document
from segments.forms.segments import SegmentForm
from segments.models import Segment, Tally
from segments.operations.segments import create_segment, locked_segment, upsert_segment
from segments.tallies import tallied


@admin.register(Segment)
class SegmentAdmin(BulkAddPages, CombinePages, SegmentRecord, RulePages, TenantAdmin):
    form = SegmentForm
    found_at = 2
    explanation = _("Groups of customers, and the products and categories that are meant for them.")
    empty_state = _("Add one, put customers, products and categories into it, and activate it.")
    localized_fields = {"name": Name.max_length, "description": Translations.max_length}
    error_fields = {
        "siteCode": "site",
        "id": "external_id",
        "validity": "valid_to",
        "metadata.mixins": "mixin_schemas",
    }
    list_display = ("title", "state", "site", "window", "members", "items")
    list_select_related = ("site",)
    list_filter = ("site", EffectiveFilter, "status")
    linked_lookups = ("external_id__in",)
    search_fields = ("external_id",)
    search_help_text = _("Part of a name in any language, or the beginning of an id.")
    autocomplete_fields = ("site",)
    readonly_fields = ("version", "created_at", "modified_at")
    actions = ("delete_selected", "activate", "deactivate")
    fieldsets = (
        (None, {"fields": ("name", "description", "site", "status", "external_id")}),
        (_("When it counts"), {"fields": ("valid_from", "valid_to")}),
        (_("Own attributes"), {"fields": ("mixins", "mixin_schemas"), "classes": ("collapse",)}),
        (_("Record"), {"fields": ("version", "created_at", "modified_at"), "classes": ("collapse",)}),
    )

    def annotated(self, queryset: QuerySet) -> QuerySet:
        return queryset.annotate(
            member_count=tallied(Tally.Kind.MEMBERS),
            item_count=tallied(Tally.Kind.PRODUCTS, Tally.Kind.CATEGORIES),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        queryset = queryset.alias(names=translations_of("name"))
        for word in search_term.split()[:5]:
            queryset = queryset.filter(names__holds=word) | queryset.filter(external_id__startswith=word)
        return queryset, False

    @admin.display(description=_("Segment"), ordering="external_id")
    def title(self, segment: Segment) -> str:
        return str(segment)

    @admin.display(description=_("State"))
    def state(self, segment: Segment) -> SafeString:
        text, style = state_of(segment, timezone.now())
        return format_html('<span class="status status-{}">{}</span>', style, text)

    @admin.display(description=_("Valid"), ordering="valid_from")
    def window(self, segment: Segment) -> SafeString:
        return window_text(segment, segment.site.time_zone)

    @admin.display(description=_("Members"))
    def members(self, segment: Any) -> SafeString:
        page = list_page("customerassignment", segment)
        return format_html(
            '<a href="{}">{}</a>',
            page,
            exact_count(segment.member_count),
        )

    @admin.display(description=_("Items"))
    def items(self, segment: Any) -> SafeString:
        page = list_page("itemassignment", segment)
        return format_html('<a href="{}">{}</a>', page, exact_count(segment.item_count))

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        question = self.question_before_saving(request, obj, form) if change else None
        if change:
            self.note_effects(request, obj, form)
        row = read_body(IdentifiedSegmentBody, expecting(form.version_seen, segment_document(obj)))
        at = timezone.now()
        if change:
            locked_segment(tenant_id=obj.tenant_id, segment_id=obj.external_id)  # not one deleted meanwhile
            upsert_segment(tenant_id=obj.tenant_id, row=row, at=at)
        else:
            create_segment(tenant_id=obj.tenant_id, row=row, at=at)
        if question is not None:  # only now: what is refused anyway needs no question
            raise question
        adopt(obj, Segment.objects.get(tenant=obj.tenant_id, external_id=obj.external_id))
