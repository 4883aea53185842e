from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.windows import window_contains
from segments.models import Segment


class EffectiveFilter(admin.SimpleListFilter):
    """Segments by what they do at this moment."""

    title = _("effect")
    parameter_name = "effect"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [
            ("now", _("Live now")),
            ("later", _("Starts later")),
            ("over", _("Over")),
            ("off", _("Inactive")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        match self.value():
            case "now":
                return queryset.filter(window_contains(now), status="ACTIVE")
            case "later":
                return queryset.filter(valid_from__gt=now, status="ACTIVE")
            case "over":
                return queryset.filter(valid_to__lt=now, status="ACTIVE")
            case "off":
                return queryset.exclude(status="ACTIVE")
        return queryset


class CountsNowFilter(admin.SimpleListFilter):
    """Assignments by whether their own window and their segment let them count at this moment."""

    title = _("counts now")
    parameter_name = "counts"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        effective = Segment.objects.effective_at(now).values("pk")
        match self.value():
            case "yes":
                return queryset.filter(window_contains(now), segment__in=effective)
            case "no":
                is_closed = Q(valid_from__gt=now) | Q(valid_to__lt=now)
                return queryset.filter(is_closed | ~Q(segment__in=effective))
        return queryset


class ItemTypeFilter(admin.SimpleListFilter):
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [("PRODUCT", _("Products")), ("CATEGORY", _("Categories"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "PRODUCT":
                return queryset.filter(product__isnull=False)
            case "CATEGORY":
                return queryset.filter(category__isnull=False)
        return queryset
