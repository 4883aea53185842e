"""The address behind the button "Undo" of messages: it takes back all that one request changed."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from core.admin.counts import exact_count
from core.admin.faults import fault_text, refusal_text
from core.admin.tenants import staff_of, staff_tenant_id
from core.admin.undo import page_after
from core.background.models import Job
from core.errors import DomainError
from core.journal.declarations import recorded, recorded_as
from core.journal.models import Change
from core.journal.undo.changes import Undone
from core.journal.undo.occasions import Occasion, occasion_of_source, undo_occasion
from core.journal.undo.rules import objects_taken_back
from core.unavailability import contention_as_refusal

PERMISSIONS = {"created": "delete", "updated": "change", "deleted": "add"}


def may(request: HttpRequest, action: str, model: type[models.Model]) -> bool:
    """Say whether the user may do this with rows of a model, and see or take back their changes."""
    user = staff_of(request)
    declared = next((one for one in recorded() if one.model is model), None)
    own = getattr(declared, "permissions", ())
    return user.has_perms(own or (f"{model._meta.app_label}.{action}_{model._meta.model_name}",))


def may_undo(request: HttpRequest, change: Change) -> bool:
    """Say whether taking a change that a page shows back would do anything, and whether the user may."""
    return bool(change.undoable) and may(request, PERMISSIONS[change.kind], recorded_as(change.object).model)


def say_undone(request: HttpRequest, undone: Undone) -> None:
    """Say how much was taken back, and what was left alone and why."""
    if undone.total:
        text = ngettext("Taken back: {number} row.", "Taken back: {number} rows.", undone.total)
        messages.success(request, text.format(number=exact_count(undone.total)))
    if undone.total_left:
        reasons = "; ".join(sorted({fault_text(entry["reason"]) for entry in undone.left_alone}))
        text = ngettext(
            "{number} row was left alone: {reasons}.",
            "{number} rows were left alone: {reasons}.",
            undone.total_left,
        )
        messages.warning(request, text.format(number=exact_count(undone.total_left), reasons=reasons))
    if not undone.total and not undone.total_left:
        messages.warning(request, gettext("There was nothing left to take back."))


class OccasionUndo(admin.ModelAdmin):
    """Adds the page to the admin of the journal."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.undo_occasion)
        page = path("undo-occasion/", view, name="journal_change_undo_occasion")
        return [page, *super().get_urls()]

    def undo_occasion(self, request: HttpRequest) -> HttpResponse:
        """Take back what a request changed: one's own, or with the journal's permission anybody's."""
        if request.method != "POST":
            text = gettext("Nothing was taken back. Choose “Undo” beside a change.")
            context = {**self.admin_site.each_context(request), "title": gettext("Undo"), "message": text}
            return TemplateResponse(request, "admin/error.html", context)
        user = request.user
        occasion = occasion_of_source(
            request.POST.get("type", "").replace("\0", ""),
            request.POST.get("id", "").replace("\0", ""),
            tenant_id=staff_tenant_id(request),
        )
        others = [one for one in occasion.changes if one.actor_id != user.get_username()]
        if others and not user.has_perm("journal.view_change"):
            raise PermissionDenied
        needed = {
            (PERMISSIONS[one.kind], recorded_as(one.object).model)
            for one in occasion.main
            if one.object in objects_taken_back()
        }
        if not all(may(request, action, model) for action, model in needed):
            raise PermissionDenied
        self._undo_all(request, occasion)
        return HttpResponseRedirect(page_after(request, reverse("admin:index")))

    def _undo_all(self, request: HttpRequest, occasion: Occasion) -> None:
        if not occasion.main:
            messages.warning(request, gettext("There was nothing left to take back."))
            return
        try:
            with contention_as_refusal():
                found = undo_occasion(occasion, at=timezone.now())
        except DomainError as refused:
            messages.error(request, refusal_text(refused))
            return
        if isinstance(found, Job):
            text = gettext("{number} rows are taken back in the background: see job {job}.")
            messages.success(request, text.format(number=exact_count(occasion.rows), job=found.pk))
        else:
            say_undone(request, found)
