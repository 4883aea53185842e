"""What every admin page of this service shares."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models.fields.related import RelatedField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy

from core.admin.confirmation import BACK, ConfirmationNeeded, confirmation_page
from core.admin.declared import Fieldsets, Names
from core.admin.filters import (
    AutocompleteFilter,
    visible_rows,
)
from core.admin.forms import (
    AutocompleteSelect,
    DocumentForm,
    JsonField,
    LocalizedField,
    PlainDecimalField,
    decimal_text,
)
from core.admin.keys import key_of
from core.admin.lists import TenantLists
from core.admin.moments import HasWindow, MomentField, MomentInput, shown_moment
from core.admin.pages import row_links
from core.admin.tenants import (
    has_tenant,
    of_tenant,
    sees_all_tenants,
    staff_of,
    staff_tenant_id,
)
from core.admin.undo import message_with_undo
from core.admin.undo_pages import may_undo
from core.admin.value_rows import json_for_reading
from core.errors import DomainError
from core.journal.declarations import is_recorded
from core.journal.histories import add_undoable, newest_changes
from core.journal.words import add_sentences
from core.model_fields import references_to, related_model
from core.tenancy.models import Tenant
from core.unavailability import contention_as_refusal


class NotSavedYet(DomainError):
    """Somebody went back from a question to their entries."""

    code = "not_saved_yet"

    def __init__(self) -> None:
        super().__init__(gettext("Nothing has been saved yet. Your entries are below."))


def adopt(obj: models.Model, stored: models.Model) -> None:
    """Let the form's object be the row that an operation stored, so that the admin logs and links it."""
    obj._state.adding = False
    obj._state.db = stored._state.db
    for field in obj._meta.concrete_fields:
        setattr(obj, field.attname, getattr(stored, field.attname))


class TenantRow(Protocol):
    """A row of a model that `has_tenant`."""

    tenant: Tenant | None


class TenantAdmin(TenantLists):
    """A model admin that shows one tenant's rows and writes through operations.

    Staff see only the rows of their tenant: in lists, choices, filters, popups, autocomplete answers and
    history. A superuser without a tenant sees all and picks the tenant when adding a row; it never changes.

    `save_model` and `delete_queryset` of subclasses call operations. A DomainError that one raises ends the
    transaction and comes back as an error of the form, beside the field that `error_fields` names for it.
    """

    form: type[forms.ModelForm] = DocumentForm
    view_on_site = False

    tenant_path = "tenant"
    """Where a row names its tenant."""
    chooses_tenant = True
    """Whether superusers without a tenant choose one before they add a row. Not so for rows without one."""
    localized_fields: Mapping[str, int] = {}
    """Fields that map language to text, with the longest text; beyond 500 characters in a text area."""
    error_fields: Mapping[str, str] = {}
    """Form fields of the names that domain errors give."""
    explanation: str | Promise = ""
    """What the rows are, for the index page and the top of the list."""
    empty_state: str | Promise = ""
    """What to do when there are no rows yet."""
    found_at = 0
    """Where the search of the start page lists the rows; 0: it does not find them."""

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for field in self.opts.get_fields():
            if isinstance(field, models.JSONField):
                setattr(self, f"shown_{field.name}", self._shower(field, json_for_reading))
            elif isinstance(field, models.DecimalField):
                setattr(self, f"shown_{field.name}", self._shower(field, decimal_text))

    def _shower(self, field: models.Field, text_of: Callable[[Any], object]) -> Callable[[models.Model], str]:
        """Return what shows a field read-only: JSON as lines, numbers as people write them."""
        label = (getattr(self.form._meta, "labels", None) or {}).get(field.name)

        @admin.display(
            description=label or capfirst(gettext_lazy(str(field.verbose_name))), ordering=field.name
        )
        def show(row: models.Model) -> str:
            return self.shown(text_of(getattr(row, field.attname)))

        return show

    @admin.display(description=gettext_lazy("Valid from"))
    def shown_valid_from(self, row: HasWindow) -> str:
        return self.shown(shown_moment(row.valid_from))

    @admin.display(description=gettext_lazy("Valid to"))
    def shown_valid_to(self, row: HasWindow) -> str:
        return self.shown(shown_moment(row.valid_to))

    def _shown_as(self, name: str | Names) -> str | Names:
        return f"shown_{name}" if hasattr(self, f"shown_{name}") else name

    def shown(self, value: object) -> str:
        """Return what a column computes as text; the sign of an empty value where there is none."""
        if value in (None, ""):
            return str(self.get_empty_value_display())
        return value if isinstance(value, str) else str(value)  # a safe text stays one

    # --- whose rows ---

    def limited(self, queryset: models.QuerySet, tenant_id: int | None) -> models.QuerySet:
        """Keep the rows of the tenant; all of them when none is named."""
        return of_tenant(queryset, self.tenant_path, tenant_id)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> models.Model | None:
        """Return the row that an address names; None when there is no such row, or the text can name none."""
        # An empty `_to_field` in the address means the primary key, as an absent one does.
        return None if "\0" in object_id else super().get_object(request, object_id, from_field or None)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        rows = self.limited(super().get_queryset(request), staff_tenant_id(request))
        return rows.select_related("tenant") if has_tenant(self.model) else rows

    def tenant_of_form(self, request: HttpRequest, obj: models.Model | None = None) -> Tenant | None:
        """Return the tenant whose rows a form may offer: the row's own, the staff's, or the one chosen."""
        if not has_tenant(self.model):
            return None
        if obj is not None:
            return cast(TenantRow, obj).tenant
        user = staff_of(request)
        return user.tenant if user.tenant_id is not None else self._chosen_tenant(request)

    def _chosen_tenant(self, request: HttpRequest) -> Tenant | None:
        chosen = request.POST.get("_tenant") or request.GET.get("tenant") or ""
        tenants = Tenant.objects.all()
        if (key := key_of(chosen)) is not None:
            return tenants.filter(pk=key).first()
        first = list(tenants[:2])
        return first[0] if len(first) == 1 else None

    def autocomplete_text(self, obj: Any) -> str:
        """Return what an autocomplete field shows for a row that it found."""
        return str(obj)

    # --- forms ---

    def get_exclude(self, request: HttpRequest, obj: object = None) -> Names | None:
        excluded = list(super().get_exclude(request, obj) or ())
        offered = not self.chooses_tenant and obj is None and sees_all_tenants(request)
        return [*excluded, "tenant"] if has_tenant(self.model) and not offered else excluded

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = list(super().get_readonly_fields(request, obj))
        if obj is not None:
            fields += ["external_id"] if hasattr(self.model, "external_id") else []
            fields += ["tenant"] if self._shows_tenant(request) else []
        return fields

    def get_fieldsets(self, request: HttpRequest, obj: object = None) -> Fieldsets:
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is not None and not self.has_change_permission(request, obj):
            fieldsets = [
                (title, {**options, "fields": [self._shown_as(name) for name in options["fields"]]})
                for title, options in fieldsets
            ]
        if obj is None:  # what only a stored row has
            fieldsets = [entry for entry in fieldsets if "version" not in entry[1]["fields"]]
        if self._shows_tenant(request) and obj is not None:
            named = [name for _, options in fieldsets for name in options["fields"]]
            if "tenant" not in named:
                title, options = fieldsets[0]
                fieldsets[0] = (title, {**options, "fields": ("tenant", *options["fields"])})
        return fieldsets

    def get_form(
        self, request: HttpRequest, obj: models.Model | None = None, change: bool = False, **kwargs: object
    ) -> type[forms.ModelForm]:
        tenant = self.tenant_of_form(request, obj)
        request.form_tenant, request.form_object = tenant, obj  # type: ignore[attr-defined]
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        refusal: DomainError | None = getattr(request, "refusal", None)
        # Whoever may only look is shown the fields that the form declares under these labels.
        labels = {name: field.label for name, field in self.form.declared_fields.items() if field.label}
        meta = type("Meta", (form.Meta,), {"labels": {**labels, **(form._meta.labels or {})}})
        attributes: dict[str, object] = {"tenant": tenant, "refusal": refusal, "Meta": meta}
        if refusal is not None:
            attributes["refused_field"] = self.error_fields.get(refusal.field, refusal.field)
        return type(form.__name__, (form,), attributes)

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: object
    ) -> forms.Field | None:
        if db_field.name in self.localized_fields:
            return self._localized_field(db_field, request)
        if isinstance(db_field, models.JSONField):
            form_class = kwargs.setdefault("form_class", JsonField)
            if isinstance(form_class, type) and issubclass(form_class, JsonField):
                kwargs["kind"] = dict if db_field.null else type(db_field.get_default())
                kwargs["is_nullable"] = db_field.null
        elif isinstance(db_field, models.DateTimeField):
            kwargs.setdefault("form_class", MomentField)
            kwargs.setdefault("widget", MomentInput)
            if kwargs["form_class"] is MomentField:
                kwargs["is_end"] = db_field.name.endswith("_to")
        elif isinstance(db_field, models.DecimalField):
            kwargs.setdefault("form_class", PlainDecimalField)
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget.can_delete_related = field.widget.can_change_related = False
        return field

    def _localized_field(self, db_field: models.Field, request: HttpRequest) -> LocalizedField:
        tenant = getattr(request, "form_tenant", None)
        stored = getattr(getattr(request, "form_object", None), db_field.name, None) or {}
        languages = [tenant.default_language, *tenant.languages] if tenant is not None else []
        max_length = self.localized_fields[db_field.name]
        return LocalizedField(
            languages=list(dict.fromkeys([*languages, *stored])),
            max_length=max_length,
            is_long=max_length > 500,
            required=not db_field.blank,
            label=db_field.verbose_name.capitalize(),
            help_text=db_field.help_text,
        )

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey, request: HttpRequest, **kwargs: object
    ) -> forms.ModelChoiceField | None:
        if "widget" not in kwargs and db_field.name in self.get_autocomplete_fields(request):
            tenant = getattr(request, "form_tenant", None)
            kwargs["widget"] = AutocompleteSelect(
                db_field, self.admin_site, tenant_id=None if tenant is None else tenant.pk
            )
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, AutocompleteSelect):
            # what is chosen reads as it did in the list that it was chosen from
            chosen = self.admin_site.get_model_admin(db_field.remote_field.model)
            assert isinstance(chosen, TenantAdmin)
            field.label_from_instance = chosen.autocomplete_text
        return field

    def get_field_queryset(self, db: object, db_field: RelatedField, request: HttpRequest) -> models.QuerySet:
        model = db_field.remote_field.model
        rows = visible_rows(model, request, self)
        tenant = getattr(request, "form_tenant", None)
        return of_tenant(rows, "tenant", tenant.pk) if tenant is not None and has_tenant(model) else rows

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        """Show or save a form. What an operation refuses is rolled back and shown beside its field.

        So is a lock that somebody else did not release in time: the entries stay in the form.
        """
        if object_id is None and has_tenant(self.model) and self.chooses_tenant:
            if not self.has_add_permission(request):
                raise PermissionDenied
            tenant = self.tenant_of_form(request)
            if tenant is None:
                return self._choose_tenant(request)
            extra_context = {"chosen_tenant": tenant, **(extra_context or {})}
        if BACK in request.POST:  # from the page that says what saving would do
            request.refusal = NotSavedYet()  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with contention_as_refusal():
                return super().changeform_view(request, object_id, form_url, extra_context)
        except ConfirmationNeeded as needed:
            stored = None if object_id is None else self.get_object(request, unquote(object_id))
            return confirmation_page(self, request, needed, object=stored)
        except DomainError as refusal:
            # Outside the transaction, which is rolled back: the same form again, now knowing of the refusal.
            request.refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def say_saved(self, request: HttpRequest, obj: models.Model, text: str) -> None:
        """Say that a row was saved, with a button that takes back what that changed."""
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(quote(obj.pk),))
        message_with_undo(request, text, back=page)

    def say_added(self, request: HttpRequest, obj: models.Model, text: str) -> None:
        """Say that a row was added, with a button that takes it away again."""
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        message_with_undo(request, text, back=page)

    def response_change(self, request: HttpRequest, obj: models.Model) -> HttpResponse:
        if self.is_undoable:
            request._say_success = partial(self.say_saved, request, obj)  # type: ignore[attr-defined]
        return super().response_change(request, obj)

    def response_add(
        self, request: HttpRequest, obj: models.Model, post_url_continue: str | None = None
    ) -> HttpResponse:
        if self.is_undoable and self.has_delete_permission(request, obj):
            request._say_success = partial(self.say_added, request, obj)  # type: ignore[attr-defined]
        return super().response_add(request, obj, post_url_continue)

    def related_links(self, request: HttpRequest, obj: Any) -> list[dict[str, object]]:
        """Return links to pages about the row: `url`, `text`, and perhaps a `note`.

        These are the lists that can be filtered by it.
        """
        links: list[dict[str, object]] = []
        for relation in references_to(self.opts):
            model = related_model(relation)
            if not self.admin_site.is_registered(model):
                continue
            other = self.admin_site.get_model_admin(model)
            name = relation.field.name
            if (name, AutocompleteFilter) in other.list_filter and other.has_view_permission(request):
                page = reverse(f"admin:{other.opts.app_label}_{other.opts.model_name}_changelist")
                text = capfirst(str(other.opts.verbose_name_plural))
                links.append({"url": f"{page}?{name}__id__exact={obj.pk}", "text": text, "note": ""})
        return links

    def log_addition(self, request: HttpRequest, obj: models.Model, message: object) -> Any:
        """Keep Django's log only of what the journal does not record: each change is recorded once."""
        return None if is_recorded(type(obj)) else super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: models.Model, message: object) -> Any:
        """As `log_addition`."""
        return None if is_recorded(type(obj)) else super().log_change(request, obj, message)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show what the journal knows of the row, in words, newest first."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        before = key_of(request.GET.get("before", ""))
        changes = newest_changes(row, before=before, most=self.list_per_page + 1)
        shown = changes[: self.list_per_page]
        add_sentences(shown)
        add_undoable(shown)
        user = request.user
        for change in shown:
            change.may_undo = user.has_perm("journal.view_change") and may_undo(request, change)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("History of {row}").format(row=row),
            "module_name": capfirst(str(self.opts.verbose_name_plural)),
            "object": row,
            "opts": self.opts,
            "changes": shown,
            "older": shown[-1].pk if len(changes) > len(shown) else None,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/object_history.html", context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, object],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: models.Model | None = None,
    ) -> HttpResponse:
        if obj is not None and not context.get("is_popup"):
            context["related_links"] = [*self.related_links(request, obj), *row_links(request, obj)]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _choose_tenant(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Add {name}: for which tenant?").format(name=self.opts.verbose_name),
            "opts": self.opts,
            "tenants": Tenant.objects.all(),
            "parameters": [pair for pair in request.GET.items() if pair[0] != "tenant"],
            "is_popup": "_popup" in request.GET,
        }
        return TemplateResponse(request, "admin/choose_tenant.html", context)


class ReadOnlyAdmin(TenantAdmin):
    """A model admin for what only the service itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class PlatformAdmin(TenantAdmin):
    """A model admin for what belongs to the platform and not to one tenant: only its superusers see it."""

    def limited(self, queryset: models.QuerySet, tenant_id: int | None) -> models.QuerySet:
        return queryset if tenant_id is None else queryset.none()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._is_open(request) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self._is_open(request) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._is_open(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self._is_open(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self._is_open(request) and super().has_delete_permission(request, obj)

    def _is_open(self, request: HttpRequest) -> bool:
        user = request.user
        return bool(user.is_active and user.is_staff and sees_all_tenants(request))
