"""Deletion of selected rows without loading them."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin.counts import exact_count
from core.admin.deletion import MOST_LINKED_ROWS, DatabaseDeletion

MOST_DELETED = 10_000
"""How many rows the action deletes, in one transaction; more are deleted by an import, part by part."""


def needs_right(right: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Offer an action only to users with this permission, which may be one of another model."""

    def mark(action: Callable[..., Any]) -> Callable[..., Any]:
        action.right = right  # type: ignore[attr-defined]
        return action

    return mark


def function_of(entry: Any) -> object:
    """Return the function of an action as `get_actions` has it: Django 6.1 has objects, no tuples."""
    return entry.func if hasattr(entry, "func") else entry[0]


@admin.action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
def delete_selected(
    model_admin: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet
) -> TemplateResponse | None:
    """Ask, telling counts only, then delete all selected rows by the model admin's own way.

    Takes the place of Django's action, which loads every row and everything that hangs on it.
    """
    assert isinstance(model_admin, DatabaseDeletion)
    if queryset.order_by().values("pk")[MOST_DELETED:].exists():
        text = gettext("Select at most {most} at a time.").format(most=exact_count(MOST_DELETED))
        model_admin.message_user(request, text, messages.ERROR)
        return None
    rows, counts, lacking, protected = model_admin.get_deleted_objects(queryset, request)
    if request.POST.get("post") and not protected:
        if lacking:
            raise PermissionDenied
        number = queryset.order_by().count()
        if number:
            with transaction.atomic():  # what is refused must not be logged as deleted
                model_admin.log_deletions(request, queryset)
                model_admin.delete_queryset(request, queryset)
            name = model_admin.opts.verbose_name if number == 1 else model_admin.opts.verbose_name_plural
            text = gettext("Deleted {number} {name}.").format(number=exact_count(number), name=name)
            model_admin.say_deleted(request, text)
        return None
    across = request.POST.get("select_across") == "1"
    selected = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
    keys = list(queryset.order_by().values_list("pk", flat=True)[: MOST_LINKED_ROWS + 1])
    own, *others = counts.items()
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Delete {names}?").format(names=model_admin.opts.verbose_name_plural),
        "rows": rows,
        "counts": [(own[1], own[0], "#deleted-objects"), *model_admin.linked_counts(request, others, keys)],
        "perms_lacking": lacking,
        "protecting": model_admin.linked_counts(request, protected, keys),
        "is_undoable": model_admin.is_undoable,
        "opts": model_admin.opts,
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        "selected": selected[:1] if across else selected,
        "select_across": across,
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/delete_selected_confirmation.html", context)
