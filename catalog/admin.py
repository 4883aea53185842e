from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from catalog.models import Category, Product
from core.admin import ReadOnlyAdmin
from core.admin.search import translations_of


class NamedAdmin(ReadOnlyAdmin):
    """What is searched by id, code or name."""

    search_fields = ("external_id",)
    search_help_text = "Part of a name in any language, or the beginning of an id or code."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        queryset = queryset.alias(names=translations_of("name"))
        for word in search_term.split()[:5]:
            queryset = queryset.filter(
                Q(names__icontains=word) | Q(external_id__startswith=word) | Q(code__startswith=word)
            )
        return queryset, False


@admin.register(Product)
class ProductAdmin(NamedAdmin):
    explanation = "What the shop sells."
    list_display = ("__str__", "code", "is_published")
    list_filter = ("is_published",)


@admin.register(Category)
class CategoryAdmin(NamedAdmin):
    explanation = "Where products stand."
    list_display = ("__str__", "code", "is_published")
    list_filter = ("is_published",)
