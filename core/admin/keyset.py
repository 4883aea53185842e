"""Lists that page by key, in the order of an index: the last page is as quick as the first."""

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from core.admin.keys import key_of
from core.admin.lists import AnnotatedChangeList
from core.admin.model_admin import TenantAdmin
from core.admin.paginator import CappedPaginator

BEFORE, AFTER = "before", "after"


class KeysetPaginator(CappedPaginator):
    """Counts no further than a person looks, and not at all where the number of rows is known."""

    cap = 250

    def __init__(self, rows: QuerySet, per_page: int, known: int | None, first: int | None) -> None:
        super().__init__(rows, per_page)
        self.known, self.first = known, first

    @cached_property
    def _counted(self) -> int:
        return super()._counted if self.first is None else self.first

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.cap) if self.known is None else self.known

    @property
    def is_capped(self) -> bool:
        return self.known is None and super().is_capped


class KeysetChangeList(AnnotatedChangeList):
    """A list, the newest rows first, whose pages are found by the keys at their ends."""

    model_admin: "KeysetAdmin"
    older = newer = ""
    is_whole = False
    """Whether the list is of all rows of something, and not of those that a filter or search left."""

    def get_filters_params(self, params: dict[str, object] | None = None) -> dict[str, object]:
        found = super().get_filters_params(params)
        for name in (BEFORE, AFTER):
            found.pop(name, None)
        return found

    def get_results(self, request: HttpRequest) -> None:
        before, after = (key_of(request.GET.get(name, "")) for name in (BEFORE, AFTER))
        rows: QuerySet = self.queryset.select_related(None).values_list("pk", flat=True)
        known = self.model_admin.known_total(request, self)
        self.is_whole = known is not None
        first: int | None = None
        if before is None and after is None and known is None:
            # One statement finds the page and counts: a search that finds little of much does it only once.
            found = list(rows.order_by("-pk")[: max(KeysetPaginator.cap, self.list_per_page) + 1])
            first, has_older, has_newer = len(found), len(found) > self.list_per_page, False
            found = found[: self.list_per_page]
        elif after is not None and before is None:
            found = list(rows.filter(pk__gt=after).order_by("pk")[: self.list_per_page + 1])
            has_newer, has_older = len(found) > self.list_per_page, True
            found = found[: self.list_per_page][::-1]
        else:
            rows = rows if before is None else rows.filter(pk__lt=before)
            found = list(rows.order_by("-pk")[: self.list_per_page + 1])
            has_older, has_newer = len(found) > self.list_per_page, before is not None
            found = found[: self.list_per_page]
        # Only now: what is shown of a row is not joined to all that a search finds.
        page = self.shown_rows(request, self.root_queryset.filter(pk__in=found))
        self.result_list = list(page.order_by("-pk"))
        self.paginator = KeysetPaginator(self.queryset, self.list_per_page, known, first)
        self.result_count = self.paginator.count
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = bool(found)
        self.can_show_all = True
        self.multi_page = False
        if found and has_older:
            self.older = self.get_query_string({BEFORE: found[-1]}, [AFTER])
        if found and has_newer:
            self.newer = self.get_query_string({AFTER: found[0]}, [BEFORE])


class KeysetAdmin(TenantAdmin):
    """A model admin whose list pages by key."""

    def get_changelist(self, request: HttpRequest, **options: object) -> type[KeysetChangeList]:
        return KeysetChangeList

    def known_total(self, request: HttpRequest, changelist: KeysetChangeList) -> int | None:
        """Return how many rows the list has where that is known without counting."""
        return None
