"""Counts for lists: exact while they are small or kept, never slow."""

from django.db.models import IntegerField, QuerySet, Subquery
from django.utils.formats import number_format

MOST_COUNTED = 1_000


class CappedCount(Subquery):
    """How many rows a correlated queryset has, counted no further than just past `MOST_COUNTED`."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()

    def __init__(self, queryset: QuerySet) -> None:
        super().__init__(queryset.order_by().values("pk")[: MOST_COUNTED + 1])


def shown_count(count: int) -> str:
    """Return a capped count as people read it."""
    return f"{exact_count(MOST_COUNTED)}+" if count > MOST_COUNTED else exact_count(count)


def exact_count(count: int) -> str:
    """Return a count as people read it, with the separators of their language."""
    return number_format(count, use_l10n=True, force_grouping=True)
