"""Deletion that PostgreSQL cascades: no row is loaded to be deleted or listed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import unquote
from django.db import IntegrityError, models, transaction
from django.db.models import Model
from django.db.models.options import Options
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext

from core.admin.counts import exact_count
from core.admin.declared import Text
from core.admin.faults import refusal_text
from core.admin.paginator import CappedPaginator
from core.admin.tenants import staff_of
from core.admin.undo import message_with_undo
from core.errors import Conflict, DomainError
from core.journal.declarations import RecordedAssignments, is_recorded, recorded
from core.journal.undo.rules import objects_by_themselves
from core.model_fields import references_to, related_model
from core.tenancy.foreign_keys import SameTenantReference
from core.unavailability import contention_as_refusal

MAX_LOGGED_ROWS = 100
MAX_NAMED_ROWS = 20
MOST_LINKED_ROWS = 200


class DatabaseDeletion(admin.ModelAdmin):
    """A model admin that deletes in one statement, and says beforehand how many rows go along."""

    @property
    def is_undoable(self) -> bool:
        """Whether a deletion can be taken back under Activity."""
        names = (
            name
            for one in recorded()
            if one.model is self.model
            for name in (one.members if isinstance(one, RecordedAssignments) else (one.object,))
        )
        return not set(objects_by_themselves()).isdisjoint(names)

    def get_deleted_objects(
        self, objs: models.QuerySet | Sequence[models.Model], request: HttpRequest
    ) -> Any:
        """Return names of a few rows and counts of what goes with them, without loading any of it.

        The last are what protects the rows: what that is called, and how many there are.
        """
        rows = objs if isinstance(objs, models.QuerySet) else None
        keys = rows.order_by().values("pk") if rows is not None else [obj.pk for obj in objs]
        number = self._capped_count(rows) if rows is not None else len(objs)
        names = [str(row) for row in (rows[:MAX_NAMED_ROWS] if rows is not None else objs)]
        if number > len(names):
            names.append("…")
        counts = {self._noun(self.opts, number): self._shown_count(number)}
        protected: list[tuple[str, str]] = []
        for relation, action in self._references():
            model = related_model(relation)
            related = model._base_manager.filter(**{f"{relation.field.name}__in": keys})
            number = self._capped_count(related) if action != "SET NULL" else 0
            if number and action == "RESTRICT":
                protected.append((self._noun(model._meta, number), self._shown_count(number)))
            elif number and self.admin_site.is_registered(model):  # other rows are of no interest to people
                counts[self._noun(model._meta, number)] = self._shown_count(number)
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return names, counts, lacking, protected

    def allowed_lookups(self, request: HttpRequest) -> set[str]:
        """Return the parameters that filter the list."""
        return set()

    def lists_of_related(self, request: HttpRequest, keys: Sequence[object]) -> dict[str, str]:
        """Return the lists of what refers to the rows of these keys, by what that is called."""
        found: dict[str, str] = {}
        if len(keys) > MOST_LINKED_ROWS:  # more than an address takes
            return found
        for relation, _action in self._references():
            model = related_model(relation)
            if not self.admin_site.is_registered(model):
                continue
            other = self.admin_site.get_model_admin(model)
            assert isinstance(other, DatabaseDeletion)
            parameter = f"{relation.field.name}__in"
            if parameter in other.allowed_lookups(request) and other.has_view_permission(request):
                names = (str(model._meta.verbose_name), str(model._meta.verbose_name_plural))
                page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
                found |= dict.fromkeys(names, f"{page}?{parameter}={','.join(map(str, keys))}")
        return found

    def linked_counts(
        self, request: HttpRequest, counts: Iterable[tuple[str, str]], keys: Sequence[object]
    ) -> list[tuple[str, str, str]]:
        """Return the counts with what they count, and with the list of it where there is one."""
        pages = self.lists_of_related(request, keys)
        return [(number, name, pages.get(name, "")) for name, number in counts]

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        """Show beside each number where it is listed."""
        keys = [context["object"].pk]
        context["counts"] = self.linked_counts(request, list(context["model_count"])[1:], keys)
        context["protecting"] = self.linked_counts(request, context["protected"], keys)
        return super().render_delete_form(request, context)

    def _references(self) -> Iterator[tuple[models.ManyToOneRel, str]]:
        """Yield what refers to this model's rows, and what PostgreSQL does with it when they are deleted."""
        for relation in references_to(self.opts):
            for constraint in related_model(relation)._meta.constraints:
                if isinstance(constraint, SameTenantReference) and constraint.field == relation.field.name:
                    yield relation, constraint.on_delete

    def _noun(self, options: Options, number: int) -> str:
        return str(options.verbose_name if number == 1 else options.verbose_name_plural)

    def _capped_count(self, rows: models.QuerySet) -> int:
        return rows.order_by()[: CappedPaginator.cap + 1].count()

    def _shown_count(self, number: int) -> str:
        return (
            gettext("more than {number}").format(number=exact_count(CappedPaginator.cap))
            if number > CappedPaginator.cap
            else exact_count(number)
        )

    def log_deletions(self, request: HttpRequest, queryset: models.QuerySet) -> list[LogEntry] | LogEntry:
        """Log each deleted row, or all of them in one entry when they are many, unless the journal does."""
        if is_recorded(self.model):
            return []
        if isinstance(queryset, models.QuerySet):
            number = queryset.order_by().count()
            if number > MAX_LOGGED_ROWS:
                user = staff_of(request)
                return LogEntry.objects.create(
                    user_id=user.pk,
                    content_type_id=get_content_type_for_model(self.model).pk,
                    object_repr=f"{number:,} {self.opts.verbose_name_plural}",
                    action_flag=DELETION,
                )
        return super().log_deletions(request, queryset)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.delete_queryset(request, self.model._base_manager.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        """Delete the rows in one statement; PostgreSQL deletes or protects what refers to them."""
        rows = self.model._base_manager.filter(pk__in=queryset.order_by().values("pk"))
        try:
            with transaction.atomic():
                rows._raw_delete(rows.db)
        except IntegrityError:
            raise Conflict(gettext("Something still refers to this, so it was not deleted.")) from None

    def say_deleted(self, request: HttpRequest, text: str) -> None:
        """Say that rows were deleted, with a button that restores them where that can be done."""
        if self.is_undoable and self.has_add_permission(request):
            page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
            message_with_undo(request, text, back=page, label=gettext("Restore"))
        else:
            messages.success(request, text)

    def message_user(
        self,
        request: HttpRequest,
        message: Text,
        level: int | str = messages.INFO,
        extra_tags: str = "",
        fail_silently: bool = False,
    ) -> None:
        """Let the request's `_say_success` say of a success what Django's text does not, if it has one."""
        say: Callable[[str], None] | None = getattr(request, "_say_success", None)
        if say is None or level != messages.SUCCESS:
            super().message_user(request, message, level, extra_tags, fail_silently)
        else:
            say(str(message))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        request._say_success = partial(self.say_deleted, request)  # type: ignore[attr-defined]
        return super().response_delete(request, obj_display, obj_id)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        try:
            with contention_as_refusal():
                context = {"is_undoable": self.is_undoable, **(extra_context or {})}
                return super().delete_view(request, object_id, context)
        except DomainError as refusal:
            self.message_user(request, refusal_text(refusal), messages.ERROR)
            page = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            return HttpResponseRedirect(reverse(page, args=(unquote(object_id),)))
