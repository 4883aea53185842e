from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property


class CappedPaginator(Paginator):
    """Counts no further than `cap` rows: beyond that people search, and counting a million rows is slow."""

    cap = 10_000

    @cached_property
    def _counted(self) -> int:
        rows = self.object_list
        return (
            rows.order_by().values("pk")[: self.cap + 1].count() if isinstance(rows, QuerySet) else len(rows)
        )

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.cap)

    @property
    def is_capped(self) -> bool:
        """Say whether there are more rows than were counted."""
        return self._counted > self.cap
