from django import template
from django.contrib import admin
from django.http import HttpRequest
from django.template.context import Context

from core.admin.keys import key_of
from segments.admin.record import record_context
from segments.models import Segment

register = template.Library()

NAMED_BY = {"coupons": ("segments", ""), "activity": ("of", "segments.segment-")}
"""The parameter by which a list on a tab of a segment names it, and what that begins with."""


@register.inclusion_tag("admin/segments/head.html", takes_context=True)
def segment_head(context: Context, current: str, segment: Segment | None = None) -> dict[str, object]:
    """Show state and tabs of a segment: the one that is named, or the one that a list is filtered by."""
    request: HttpRequest = context["request"]
    is_named = segment is not None
    if segment is None:
        parameter, beginning = NAMED_BY[current]
        named = request.GET.get(parameter, "")
        key = key_of(named.removeprefix(beginning)) if named.startswith(beginning) else None
        rows = admin.site.get_model_admin(Segment).get_queryset(request)
        segment = rows.select_related("site", "tenant").filter(pk=key).first() if key is not None else None
    if segment is None or not request.user.has_perm("segments.view_segment"):
        return {}
    return {**record_context(request, segment, current=current), "has_title": not is_named}
