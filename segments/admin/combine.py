"""The page that combines two segments into a new or another one, by the operations of the API."""

from typing import TypedDict, TypeVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin.confirmation import Fact
from core.admin.faults import refusal_text
from core.admin.filters import LinkedFilter, visible_rows
from core.admin.keys import key_of
from core.admin.undo import message_with_undo
from core.bodies import read_body
from core.errors import DomainError
from core.representation.languages import text_in
from core.sql.composition import Sql
from core.tenancy.identifiers import generate_id
from core.unavailability import contention_as_refusal
from segments.admin.effect_facts import shown
from segments.bodies import SegmentBody
from segments.counting import NONE
from segments.forms.chosen import OPERATIONS, CombineForm
from segments.member_operations import Choice, MemberOperationBody, MemberOperationResult, operate
from segments.models import CustomerAssignment, Segment

Side = TypeVar("Side")

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
                        body=body_of(segment, cast(Combination, form.cleaned_data), dry_run=not applies),
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
            "facts": counted_facts(segment, cast(Combination, form.cleaned_data), counted) if counted else [],
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
            self.message_user(
                request, text.format(members=shown(result.members or NONE), job=result.id), messages.SUCCESS
            )
        else:
            added = result.added or NONE
            text = ngettext(
                "Added {number} member to {segment}.", "Added {number} members to {segment}.", added.value
            )
            message_with_undo(
                request,
                text.format(number=shown(added), segment=target),
                back=reverse("admin:segments_segment_changelist"),
            )
        return HttpResponseRedirect(page)


def parts_of(operation: str, a: Side, b: Side | None) -> tuple[list[Side], list[Side], list[Side]]:
    """Return the segments that an operation on A and B takes members of, intersects with, and subtracts."""
    others = [] if b is None else [b]
    match operation:
        case "or":
            return [a, *others], [], []
        case "and":
            return [a], others, []
        case "minus":
            return [a], [], others
    return [a], [], []


class Combination(TypedDict):
    """What was entered on the page."""

    operation: str
    other: Segment | None
    into: Segment | None
    name: str


def body_of(segment: Segment, entered: Combination, *, dry_run: bool) -> MemberOperationBody:
    """Return what was entered as the body of the API's operation."""
    operation, other = entered["operation"], entered["other"]
    sources, all_of, minus = parts_of(
        operation, segment.external_id, None if other is None else other.external_id
    )
    create = None
    if not entered["into"]:
        language = segment.tenant.default_language
        first, second = (
            "" if one is None else text_in(one.name, [language]) or one.external_id
            for one in (segment, other)
        )
        name = entered["name"] or SIGNS[operation].format(a=first, b=second)[:200]
        document = {"siteCode": segment.site.code, "name": {language: name}, "status": "INACTIVE"}
        create = read_body(SegmentBody, document)
    return MemberOperationBody(sources=sources, all_of=all_of, minus=minus, create=create, dry_run=dry_run)


def counted_facts(segment: Segment, entered: Combination, result: MemberOperationResult) -> list[Fact]:
    """Return what was counted, each with the list of it."""
    members, added = result.members or NONE, result.added or NONE
    return [
        Fact(
            shown(members),
            ngettext("member", "members", members.value),
            combined_page(segment, entered, only_new=False),
        ),
        Fact(shown(added), gettext("new in the target"), combined_page(segment, entered, only_new=True)),
    ]


def combined_page(segment: Segment, entered: Combination, *, only_new: bool) -> str:
    """Return the list of the members that were counted; if asked for, only of those new to the target."""
    operation, other, into = entered["operation"], entered["other"], entered["into"]
    named = [segment, other if operation != "copy" else None, into if only_new else None]
    value = ":".join([operation, *(str(one.pk if one is not None else 0) for one in named)])
    page = reverse("admin:segments_customerassignment_changelist")
    return f"{page}?{urlencode({CombinedFilter.parameter_name: value})}"


class CombinedFilter(LinkedFilter):
    """Members of a combination of two segments, which a link names by its operation and their keys.

    A third key is that of a segment whose members are left out.
    """

    title = _("combination")
    parameter_name = "combined"

    def __init__(
        self, request: HttpRequest, params: dict[str, str], model: type[Model], model_admin: admin.ModelAdmin
    ) -> None:
        self.segments = visible_rows(Segment, request, model_admin)
        super().__init__(request, params, model, model_admin)

    def named(self) -> tuple[str, list[Segment | None]]:
        """Return the operation, and A, B and the segment that is left out; no segment A if it names none."""
        operation, *texts = (self.value() or "").split(":")
        keys = [key_of(text) or 0 for text in texts]
        known = self.segments.in_bulk(set(keys)) if operation in SIGNS and len(keys) == 3 else {}
        a, b, left_out = (known.get(key) for key in keys) if known else (None, None, None)
        is_whole = set(keys) - {0} == set(known) and (b is not None or operation == "copy")
        return operation, [a if is_whole else None, b, left_out]

    def chosen_text(self, value: str, request: HttpRequest, model_admin: admin.ModelAdmin) -> str:
        operation, (a, b, left_out) = self.named()
        if a is None:
            return ""
        text = str(a) if operation == "copy" else SIGNS[operation].format(a=a, b=b)
        return (
            text
            if left_out is None
            else gettext("{members}, not in {segment}").format(members=text, segment=left_out)
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        operation, (a, b, left_out) = self.named()
        if a is None:
            return queryset.none()
        sources, all_of, minus = parts_of(operation, a.pk, None if b is None else b.pk)
        choice = Choice(a.tenant_id, 0 if left_out is None else left_out.pk, sources, all_of, minus)
        listed = choice.listed(in_target=left_out is None, row=Sql(CustomerAssignment._meta.db_table))
        # text from the code; values are parameters
        return queryset.filter(RawSQL(listed.sql, listed.params, output_field=BooleanField()))  # noqa: S611
