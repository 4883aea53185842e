"""Filters that links set: rows of categories and of all below them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.models import Category
from catalog.subtrees import subtrees
from core.admin.filters import LinkedFilter, visible_rows
from core.admin.keys import key_of

MOST_CATEGORIES = 400
MOST_NAMED = 5


def keys_of(value: str) -> list[int]:
    """Return the keys that a value lists, separated by commas."""
    keys = (key_of(text) for text in value.split(",")[:MOST_CATEGORIES])
    return [key for key in keys if key is not None]


class BelowFilter(LinkedFilter):
    """Categories that a link names by their keys, and all below them."""

    title = _("in")
    parameter_name = "below"

    def chosen_text(self, value: str, request: HttpRequest, model_admin: admin.ModelAdmin) -> str:
        rows = visible_rows(Category, request, model_admin).filter(pk__in=keys_of(value))
        names = [str(category) for category in rows[: MOST_NAMED + 1]]
        return ", ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "")

    def kept(self, queryset: QuerySet, categories: RawSQL) -> QuerySet:
        return queryset.filter(pk__in=categories)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not (keys := keys_of(self.value() or "")):
            return queryset
        found = subtrees(keys)
        # text from the code; values are parameters
        return self.kept(queryset, RawSQL(f"({found.sql})", found.params))  # noqa: S611


class AssignedBelowFilter(BelowFilter):
    """Assignments of products to these categories."""

    def kept(self, queryset: QuerySet, categories: RawSQL) -> QuerySet:
        return queryset.filter(category__in=categories)
