"""Pages that say what a deletion of one or of selected rows does, make it, and offer to restore them."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin.confirmation import (
    ConfirmationNeeded,
    confirmation_page,
    is_confirmed,
    read_versions,
    repeated_values,
)
from core.admin.faults import refusal_text
from core.admin.undo import message_with_undo
from core.errors import DomainError, VersionConflict
from core.tenancy.documents import TenantDocument
from core.unavailability import contention_as_refusal

KEPT = ("action", "_selected_action", "select_across", "index")
NEVER_SEEN = -1


Row = TypeVar("Row", bound=TenantDocument)


class DeletionPages(admin.ModelAdmin, Generic[Row]):
    """Replaces the site's own deletion of one and of selected rows of one tenant.

    Subclasses name `delete_selected` in their `actions`, say what a deletion does (`deletion_question`),
    delete (`delete_confirmed`) and may ask for more than a click (`typing_error`).
    """

    most_deleted = 200
    deleted_with: tuple[str, ...] = ("tenant",)
    """What is read with the rows that are deleted."""
    deleted_in_order: tuple[str, ...] = ("external_id",)
    deletion_template = ""
    too_many: str | Promise = ""
    of_several_tenants: str | Promise = ""
    changed_meanwhile: str | Promise = ""

    # --- what subclasses say ---

    def deletion_question(
        self, request: HttpRequest, rows: Sequence[Row]
    ) -> tuple[ConfirmationNeeded, dict[str, object]]:
        """Return the question, and what else its template shows."""
        raise NotImplementedError

    def delete_confirmed(self, request: HttpRequest, rows: Sequence[Row], versions: Mapping[str, int]) -> str:
        """Delete the rows if they have these versions, and return what was done."""
        raise NotImplementedError

    def typing_error(self, request: HttpRequest, rows: Sequence[Row]) -> str:
        """Say what is wrong with what was typed to confirm the deletion; empty when nothing is."""
        return ""

    # --- the pages ---

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Say what the deletion of a row does, and delete it once that is confirmed."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        return self._delete(request, [row]) or HttpResponseRedirect(self._list())

    @admin.action(description=_("Delete selected %(verbose_name_plural)s"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Say what the deletion of the selected rows does, and delete them once that is confirmed."""
        rows = self.chosen(request, queryset)
        return self._delete(request, rows) if rows else None

    def chosen(self, request: HttpRequest, queryset: QuerySet) -> list[Row]:
        """Return the selected rows; none, with a message, when too many or of several tenants."""
        found = self._stored(queryset.order_by().values("pk")).order_by(*self.deleted_in_order)
        rows = list(found[: self.most_deleted + 1])
        if len(rows) > self.most_deleted:
            text = str(self.too_many).format(most=self.most_deleted)
        elif len({row.tenant_id for row in rows}) > 1:
            text = str(self.of_several_tenants)
        else:
            return rows
        self.message_user(request, text, messages.ERROR)
        return []

    def _stored(self, keys: object) -> QuerySet:
        return self.model._default_manager.filter(pk__in=keys).select_related(*self.deleted_with)

    def _list(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _delete(self, request: HttpRequest, rows: Sequence[Row]) -> HttpResponse | None:
        """Ask, or delete and offer Restore; None once they are deleted or gone."""
        error = self.typing_error(request, rows) if is_confirmed(request) else ""
        if is_confirmed(request) and not error:
            seen = read_versions(request)
            versions = {row.external_id: seen.get(row.external_id, NEVER_SEEN) for row in rows}
            try:
                with contention_as_refusal(), transaction.atomic():
                    # in the transaction: what is refused must not be logged as deleted
                    self.log_deletions(request, self._stored([row.pk for row in rows]))
                    text = self.delete_confirmed(request, rows, versions)
            except VersionConflict:
                self.message_user(request, str(self.changed_meanwhile), messages.ERROR)
            except DomainError as refused:
                self.message_user(request, refusal_text(refused), messages.ERROR)
            else:
                message_with_undo(request, text, back=self._list(), label=gettext("Restore"))
                return None
            rows = list(self._stored([row.pk for row in rows]))
            if not rows:
                return None
        return self._ask_before_deletion(request, rows, error)

    def _ask_before_deletion(self, request: HttpRequest, rows: Sequence[Row], error: str) -> HttpResponse:
        needed, shown = self.deletion_question(request, rows)
        only = rows[0] if len(rows) == 1 else None
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        context = {
            "repeated": [pair for pair in repeated_values(request) if pair[0] in KEPT],
            "rows": rows,
            "object": only,
            "versions": {row.external_id: row.version for row in rows},
            "typing_error": error,
            "is_dangerous": True,
            "back": self._list() if only is None else reverse(page, args=[only.pk]),
            **shown,
        }
        return confirmation_page(self, request, needed, template=self.deletion_template, **context)
