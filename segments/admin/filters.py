from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from core.windows import window_contains


class EffectiveFilter(admin.SimpleListFilter):
    """Segments by what they do at this moment."""

    title = "effect"
    parameter_name = "effect"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("now", "Effective now"),
            ("later", "Starts later"),
            ("over", "Over"),
            ("off", "Inactive"),
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

    title = "counts now"
    parameter_name = "counts"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        counts = counting_at(timezone.now())
        match self.value():
            case "yes":
                return queryset.filter(counts)
            case "no":
                return queryset.exclude(counts)
        return queryset


def counting_at(at: datetime) -> Q:
    """Assignments that count at `at`: they are valid, and their segment is effective."""
    return window_contains(at) & window_contains(at, "segment__") & Q(segment__status="ACTIVE")


class ItemTypeFilter(admin.SimpleListFilter):
    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("PRODUCT", "Products"), ("CATEGORY", "Categories")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "PRODUCT":
                return queryset.filter(product__isnull=False)
            case "CATEGORY":
                return queryset.filter(category__isnull=False)
        return queryset
