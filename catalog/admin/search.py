"""The search that the pages of products and categories share."""

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.models import SEARCHED_FIELDS
from core.admin import TenantAdmin
from core.search import matching


class NamedAdmin(TenantAdmin):
    """What is searched by id, code or name."""

    search_fields = ("external_id",)
    search_help_text = _(
        "The beginnings of words of the name in any language, the code and the id, in any order."
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        return matching(queryset, search_term, SEARCHED_FIELDS), False
