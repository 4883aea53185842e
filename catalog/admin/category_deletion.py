"""The page that says what the deletion of categories does to shoppers, before it is made."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext

from catalog.extensions import category_effects
from catalog.models import Category
from catalog.operations.categories import delete_categories
from core.admin.confirmation import (
    ConfirmationNeeded,
    Fact,
    confirmation_page,
    is_confirmed,
    read_versions,
    repeated_values,
)
from core.admin.counts import exact_count
from core.admin.faults import fault_text
from core.admin.undo import message_with_undo
from core.errors import DomainError, VersionConflict
from core.unavailability import contention_as_refusal

MOST_DELETED = 400
MOST_NAMED = 20
KEPT = ("action", "_selected_action", "select_across", "index")


class CategoryDeletion(admin.ModelAdmin):
    """Replaces the site's own deletion of one and of selected categories, whose subtrees go too."""

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        category = self.get_object(request, unquote(object_id))
        if category is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        if not self.has_delete_permission(request, category):
            raise PermissionDenied
        return self._delete(request, [category]) or HttpResponseRedirect(self._list())

    def get_actions(self, request: HttpRequest) -> Any:
        found: Any = super().get_actions(request)
        if "delete_selected" in found:
            _function, name, description = found["delete_selected"]
            found["delete_selected"] = (type(self).delete_chosen, name, description)
        return found

    def delete_chosen(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Say what the deletion of the selected categories does, and delete them once that is confirmed."""
        rows = Category.objects.filter(pk__in=queryset.order_by().values("pk")).select_related("tenant")
        categories = list(rows.order_by("tree_id", "lft")[: MOST_DELETED + 1])
        text = ""
        if len(categories) > MOST_DELETED:
            text = gettext("Select at most {most} categories at a time.").format(most=MOST_DELETED)
        elif len({category.tenant_id for category in categories}) > 1:
            text = gettext("Select categories of one tenant only.")
        if text:
            self.message_user(request, text, messages.ERROR)
            return None
        return self._delete(request, categories) if categories else None

    def _list(self) -> str:
        return reverse("admin:catalog_category_changelist")

    def _delete(self, request: HttpRequest, categories: Sequence[Category]) -> HttpResponse | None:
        """Ask, or delete and offer Restore; None once they are deleted or gone."""
        if is_confirmed(request):
            try:
                with contention_as_refusal():
                    self._delete_confirmed(request, categories)
                return None
            except VersionConflict:
                text = gettext(
                    "A category was changed in the meantime, so nothing was deleted. Look at the present"
                    " numbers."
                )
                self.message_user(request, text, messages.ERROR)
            except DomainError as refused:
                self.message_user(request, fault_text(refused.message), messages.ERROR)
            keys = [category.pk for category in categories]
            categories = list(Category.objects.filter(pk__in=keys).select_related("tenant"))
            if not categories:
                return None
        return self._deletion_page(request, categories)

    def _deletion_page(self, request: HttpRequest, categories: Sequence[Category]) -> HttpResponse:
        is_single = len(categories) == 1
        category = categories[0]
        facts = category_effects(request, categories, "DELETE", None)
        _names, counts, _lacking, _protected = self.get_deleted_objects(categories, request)
        own = {str(self.opts.verbose_name), str(self.opts.verbose_name_plural)}
        facts += [Fact(str(number), name) for name, number in counts.items() if name not in own]
        as_of = gettext("As of {time}").format(time=time_format(localtime(timezone.now()), "TIME_FORMAT"))
        if is_single:
            as_of += f" ({gettext('version {number}').format(number=category.version)})"
        title = (
            gettext("Delete “{category}” and all below it?").format(category=category)
            if is_single
            else gettext("Delete {number} categories and all below them?").format(number=len(categories))
        )
        return confirmation_page(
            self,
            request,
            ConfirmationNeeded(title, facts, as_of=as_of, button=gettext("Delete")),
            template="admin/catalog/category/delete.html",
            repeated=[pair for pair in repeated_values(request) if pair[0] in KEPT],
            categories=categories[:MOST_NAMED],
            object=category if is_single else None,
            versions={each.external_id: each.version for each in categories},
            may_unpublish=is_single
            and category.is_published
            and self.has_change_permission(request, category),
            back=reverse("admin:catalog_category_change", args=[category.pk]) if is_single else self._list(),
        )

    def _delete_confirmed(self, request: HttpRequest, categories: Sequence[Category]) -> None:
        keys, seen = [category.pk for category in categories], read_versions(request)
        with transaction.atomic():  # what is refused must not be logged as deleted
            self.log_deletions(request, Category.objects.filter(pk__in=keys))
            delete_categories(
                tenant_id=categories[0].tenant_id,
                category_ids=keys,
                # one whose version was not sent has none (-1): it was never looked at
                versions={each.external_id: seen.get(each.external_id, -1) for each in categories},
            )
        text = (
            gettext("Deleted {category}.").format(category=categories[0])
            if len(categories) == 1
            else ngettext(
                "Deleted {number} category.", "Deleted {number} categories.", len(categories)
            ).format(number=exact_count(len(categories)))
        )
        message_with_undo(request, text, back=self._list(), label=gettext("Restore"))
