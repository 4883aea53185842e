"""The filters of the list of changes."""

from core.api.filters import DayFilter, ListFilterSet, TextFilter
from core.journal.models import Change


class ChangeFilters(ListFilterSet):
    """Both ends of the time are included."""

    actor_type = TextFilter(
        description="Only changes by a client, customer, anonymous, staff, command, rule or sql."
    )
    actor_id = TextFilter(description="Only changes by this client, customer, member of staff or command.")
    source_type = TextFilter(
        description="Only changes on this kind of occasion: request, admin, filter, import,"
        " undo, undo-import, member-operation."
    )
    source_id = TextFilter(description="Only changes of this request or import.")
    object_id = TextFilter(
        field_name="external_id",
        description="Only changes of the object with this id; members and items have that of their segment.",
    )
    kind = TextFilter(description="Only what was created, updated or deleted.")
    since = DayFilter(
        parameter="from",
        field_name="at",
        lookup_expr="gte",
        description="Changes since this day or instant.",
    )
    until = DayFilter(
        parameter="to",
        field_name="at",
        lookup_expr="lte",
        description="Only changes up to this instant, or before this day.",
    )

    class Meta:
        model = Change
        alias = "change"
        fields = ()
