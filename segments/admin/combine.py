"""The page that combines two segments into a new or another one, by the operations of the API."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext

from core.admin.faults import refusal_text
from core.admin.undo import message_with_undo
from core.bodies import read_body
from core.errors import DomainError
from core.tenancy.identifiers import generate_id
from core.unavailability import contention_as_refusal
from segments.bodies import SegmentBody
from segments.forms.chosen import OPERATIONS, CombineForm
from segments.member_operations import MemberOperationBody, MemberOperationResult, operate
from segments.models import Segment

SIGNS = {"or": "{a} + {b}", "and": "{a} ∩ {b}", "minus": "{a} − {b}", "copy": "{a} (copy)"}


class CombinePages(admin.ModelAdmin):
    """Adds the page to the segment's admin."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.combine)
        return [path("<int:key>/combine/", view, name="segments_segment_combine"), *super().get_urls()]

    def combine(self, request: HttpRequest, key: int) -> HttpResponse:
        """Count first what the combination holds, then add it to a new or another segment."""
        user = request.user
        if not self.has_view_permission(request) or not user.has_perm("segments.add_customerassignment"):
            raise PermissionDenied
        segment = self.get_queryset(request).select_related("site", "tenant").filter(pk=key).first()
        if segment is None:
            raise Http404("There is no such segment.")
        segments = self.get_queryset(request).filter(tenant=segment.tenant_id)
        form = CombineForm(
            request.POST if request.method == "POST" else None, segments=segments, admin_site=self.admin_site
        )
        counted: MemberOperationResult | None = None
        if form.is_bound and form.is_valid():
            applies = "_apply" in request.POST
            if applies and not form.cleaned_data["into"] and not user.has_perm("segments.add_segment"):
                raise PermissionDenied
            target = form.cleaned_data["into"]
            target_id = target.external_id if target else generate_id()
            try:
                with contention_as_refusal():
                    counted = operate(
                        tenant_id=segment.tenant_id,
                        segment_id=target_id,
                        body=body_of(segment, form.cleaned_data, dry_run=not applies),
                        at=timezone.now(),
                    )
            except DomainError as refused:
                form.add_error(None, refusal_text(refused))
            else:
                if applies:
                    return self._done(request, segment, target_id, counted)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Combine {segment} with another segment").format(segment=segment),
            "opts": self.opts,
            "segment": segment,
            "form": form,
            "counted": counted,
            "counted_in_words": OPERATIONS[form.cleaned_data["operation"]] if counted else "",
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/segments/combine.html", context)

    def _done(
        self, request: HttpRequest, segment: Segment, target_id: str, result: MemberOperationResult
    ) -> HttpResponse:
        target = Segment.objects.get(tenant=segment.tenant_id, external_id=target_id)
        page = reverse("admin:segments_customerassignment_changelist") + f"?segment__id__exact={target.pk}"
        if result.state == "queued":
            text = gettext("{members} members are being added in the background: see job {job}.")
            self.message_user(request, text.format(members=result.members, job=result.id), messages.SUCCESS)
        else:
            text = gettext("Added {number} members to {segment}.")
            message_with_undo(
                request,
                text.format(number=result.added, segment=target),
                back=reverse("admin:segments_segment_changelist"),
            )
        return HttpResponseRedirect(page)


def body_of(segment: Segment, entered: dict[str, Any], *, dry_run: bool) -> MemberOperationBody:
    """Return what was entered as the body of the API's operation."""
    operation, other = entered["operation"], entered["other"]
    sources = [segment.external_id]
    named: dict[str, list[str]] = {"and": [], "minus": []}
    if operation == "or":
        sources.append(other.external_id)
    elif operation != "copy":
        named[operation] = [other.external_id]
    create = None
    if not entered["into"]:
        language = segment.tenant.default_language
        first = segment.name.get(language) or next(iter(segment.name.values()), segment.external_id)
        second = ""
        if other is not None:
            second = other.name.get(language) or next(iter(other.name.values()), other.external_id)
        name = entered["name"] or SIGNS[operation].format(a=first, b=second)[:200]
        document = {"siteCode": segment.site.code, "name": {language: name}, "status": "INACTIVE"}
        create = read_body(SegmentBody, document)
    return MemberOperationBody(
        sources=sources, all_of=named["and"], minus=named["minus"], create=create, dry_run=dry_run
    )
