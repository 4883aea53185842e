"""The search that the pages of products and categories share."""

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin import TenantAdmin
from core.admin.search import MAX_WORDS, translations_of


class NamedAdmin(TenantAdmin):
    """What is searched by id, code or name."""

    search_fields = ("external_id",)
    search_help_text = "Part of a name in any language, or the beginning of an id or code."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        queryset = queryset.alias(names=translations_of("name"))
        for word in search_term.split()[:MAX_WORDS]:
            queryset = queryset.filter(
                Q(names__icontains=word) | Q(external_id__startswith=word) | Q(code__istartswith=word)
            )
        return queryset, False
