from core.api.filters import ListFilterSet, TextFilter
from core.sql.composition import Sql, equals
from events.models import Delivery


class DeliveryFilters(ListFilterSet):
    """Narrows what was sent to targets."""

    state = TextFilter(description="Only PENDING, DELIVERED, FILTERED, DROPPED or FAILED ones.")
    target_id = TextFilter(
        condition="to_target",
        needs=("target",),
        description="Only those to the target (the entry) with this id.",
    )
    event_type = TextFilter(
        condition="of_type", needs=("event",), description="Only those of events of this type."
    )

    class Meta:
        model = Delivery
        alias = "delivery"
        fields = ()

    def to_target(self, value: str) -> Sql:
        return equals("target.external_id", value)

    def of_type(self, value: str) -> Sql:
        return equals("event.type", value)
