from datetime import datetime

from django import template

from core.admin.counts import exact_count
from core.admin.faults import fault_text
from core.admin.moments import shown_moment

register = template.Library()
register.filter("number", exact_count)
register.filter("fault", fault_text)


@register.filter
def moment(value: datetime | None) -> str:
    """Return an instant as people read it, with UTC in the tooltip."""
    return shown_moment(value)
