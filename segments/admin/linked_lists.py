"""Filters that links set: lists of what the numbers of effects and of rules count."""

from functools import cache
from typing import Final

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Category
from core.admin.filters import LinkedFilter, visible_rows
from core.admin.keys import key_of
from core.bodies import read_body
from core.errors import DomainError
from core.sql.composition import Sql, integer, sql
from core.sql.fetching import fetch_rows
from segments.console.effect_lists import EffectList, effect_list
from segments.effects.addresses import EFFECT, Named, read
from segments.models import Segment
from segments.rules.facts import left_out_lists
from segments.rules.previews import PreviewBody, left_out_label, left_out_of

MOST_NAMED = 5
MOST_KEYS = 10_000


def permitted_rows(kind: type[Model], request: HttpRequest, model_admin: ModelAdmin) -> QuerySet:
    """Return the rows that the user may see; none without the permission to view them.

    A list of customers says who is in the segment that its address names.
    """
    rows = visible_rows(kind, request, model_admin)
    is_permitted = model_admin.admin_site.get_model_admin(kind).has_view_permission(request)
    return rows if is_permitted else rows.none()


class EffectFilter(LinkedFilter):
    """Rows that a number of the effects of a change counts."""

    title = _("effect of a change")
    parameter_name = EFFECT
    shown: EffectList

    def __init__(
        self, request: HttpRequest, params: dict[str, str], model: type[Model], model_admin: ModelAdmin
    ) -> None:
        self.rows = [permitted_rows(kind, request, model_admin) for kind in (Segment, Category)]
        super().__init__(request, params, model, model_admin)

    @cached_property
    def named(self) -> tuple[Named, Sql] | None:
        """What the value names and a SELECT of its keys, if this list has it."""
        segments, categories = self.rows
        named = read(self.value() or "", segments, categories)
        if named is None or named.counted not in self.shown.counted:
            return None
        found = self.shown.selected(named.counted, named.difference)
        return None if found is None else (named, found)

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        if (known := self.named) is None:
            return ""
        named, _found = known
        names = ", ".join(named.names[:MOST_NAMED]) + (" …" if len(named.names) > MOST_NAMED else "")
        return str(self.shown.counted[named.counted]).format(names=names)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        if (known := self.named) is None:
            return queryset.none()
        _named, found = known
        # once: the list counts its rows and shows a page of them
        first = fetch_rows(
            sql(
                "SELECT key FROM ({found}) AS found (key) LIMIT {most}",
                found=found,
                most=integer(MOST_KEYS + 1),
            )
        )
        if len(first) <= MOST_KEYS:
            return queryset.filter(pk__in={key for (key,) in first})
        # text from the code; values are parameters
        return queryset.filter(pk__in=RawSQL(f"({found.sql})", found.params))  # noqa: S611


@cache
def effect_filter(label: str) -> type[admin.SimpleListFilter] | None:
    shown = effect_list(label)
    return None if shown is None else type("EffectFilterOfList", (EffectFilter,), {"shown": shown})


LEFT_OUT: Final = "left_out"
BETWEEN: Final = "~"


def page_left_out(segment: Segment, body: PreviewBody) -> str:
    """Return the list of what a preview of the segment's rule counts as left out; empty without one."""
    label = left_out_label(tenant=segment.tenant, body=body, at=timezone.now())
    value = BETWEEN.join((str(segment.pk), body.mode, body.membership, body.q))
    page = f"admin:{label.lower().replace('.', '_')}_changelist"
    return f"{reverse(page)}?{urlencode({LEFT_OUT: value})}" if label else ""


class LeftOutFilter(LinkedFilter):
    """Rows that the totals in a rule leave out, which a link names by the segment's key and the rule."""

    title = _("left out")
    parameter_name = LEFT_OUT

    def __init__(
        self, request: HttpRequest, params: dict[str, str], model: type[Model], model_admin: ModelAdmin
    ) -> None:
        self.segments = permitted_rows(Segment, request, model_admin).select_related("tenant")
        super().__init__(request, params, model, model_admin)

    def selected(self) -> Sql | None:
        """A SELECT of the keys of what is left out; None where the value names no rule that does so."""
        parts = (self.value() or "").split(BETWEEN, 3)
        segment = self.segments.filter(pk=key_of(parts[0]) or 0).first() if len(parts) == 4 else None
        if segment is None:
            return None
        _key, mode, membership, q = parts
        document = {"q": q, "mode": mode, "membership": membership, "segmentId": segment.external_id}
        try:
            body = read_body(PreviewBody, document)
            return left_out_of(tenant=segment.tenant, body=body, at=timezone.now())
        except DomainError:
            return None

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        if self.selected() is None:
            return ""
        return gettext("of the rule {rule}").format(rule=value.split(BETWEEN, 3)[3])

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        if (found := self.selected()) is None:
            return queryset.none()
        # text from the code; values are parameters
        return queryset.filter(pk__in=RawSQL(f"({found.sql})", found.params))  # noqa: S611


def linked_filters(label: str) -> list[type[admin.SimpleListFilter]]:
    """Return the filters of a model's list that these links need."""
    found: list[type[admin.SimpleListFilter] | None] = [effect_filter(label)]
    if label in left_out_lists():
        found.append(LeftOutFilter)
    return [one for one in found if one is not None]
