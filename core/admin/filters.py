"""List filters that never name another tenant's rows."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext

from core.admin.forms import AutocompleteSelect
from core.admin.keys import key_of
from core.admin.tenants import has_tenant, of_tenant, sees_all_tenants, staff_tenant_id

MOST_LISTED = 200


def visible_rows(
    model: type[models.Model], request: HttpRequest, model_admin: admin.ModelAdmin
) -> models.QuerySet:
    """Return the rows that whoever asks may see, as that model's own admin page would."""
    if model_admin.admin_site.is_registered(model):
        return model_admin.admin_site.get_model_admin(model).get_queryset(request)
    rows = model._default_manager.all()
    return of_tenant(rows, "tenant", staff_tenant_id(request)) if has_tenant(model) else rows


class TenantRelatedFilter(admin.RelatedFieldListFilter):
    """A filter by a related row, for relations with few rows: all of them are listed."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
        rows = visible_rows(field.related_model, request, model_admin)
        names_tenant = has_tenant(field.related_model) and sees_all_tenants(request)
        return [(row.pk, f"{row} ({row.tenant})" if names_tenant else str(row)) for row in rows[:MOST_LISTED]]


class AutocompleteFilter(admin.FieldListFilter):
    """A filter by a related row, for relations with many rows: one is searched for."""

    template = "admin/autocomplete_filter.html"

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: Any,
        model: type[models.Model],
        model_admin: admin.ModelAdmin,
        field_path: str,
    ) -> None:
        self.parameter = f"{field_path}__{field.target_field.name}__exact"
        value = (params.get(self.parameter) or [""])[-1]  # before the base class takes it out
        super().__init__(field, request, params, model, model_admin, field_path)
        self.value = "" if key_of(value) is None else value
        if not self.value:
            self.used_parameters.pop(self.parameter, None)
        choice = ModelChoiceField(visible_rows(field.related_model, request, model_admin), required=False)
        choice.widget = AutocompleteSelect(field, model_admin.admin_site, attrs={"class": "filter-choice"})
        choice.widget.is_required = False
        choice.widget.choices = choice.choices
        self.choice = choice

    def expected_parameters(self) -> list[str | None]:
        return [self.parameter]

    def chosen_text(self) -> str:
        """Return what the chosen row is called; empty without one."""
        rows = self.choice.queryset
        row = rows.filter(pk=self.value).first() if self.value and rows is not None else None
        return "" if row is None else str(row)

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Give the template the field and the address that the choice is added to."""
        yield {
            "field": self.choice.widget.render(
                f"filter-{self.field_path}", self.value, {"id": f"filter-{self.field_path}"}
            ),
            "id": f"filter-{self.field_path}",
            "parameter": self.parameter,
            "query_string": changelist.get_query_string(remove=[self.parameter]),
            "selected": bool(self.value),
        }


def filter_parameters(entry: object, request: HttpRequest, model_admin: admin.ModelAdmin) -> set[str]:
    """Return the parameters that an entry of `list_filter` reads, as the filter itself names them."""
    model = model_admin.model
    if callable(entry):
        made = entry(request, {}, model, model_admin)
    else:
        field, make = entry if isinstance(entry, tuple | list) else (entry, admin.FieldListFilter.create)
        path = field if isinstance(field, str) else field.name
        made = make(get_fields_from_path(model, path)[-1], request, {}, model, model_admin, field_path=path)
    return set(filter(None, made.expected_parameters()))


def filter_parts(shown: Any) -> list[tuple[str, str]]:
    """Return what a list is filtered by, each with the value in English; without the owner of its rows."""
    found = []
    with translation.override("en"):
        if shown.query:
            found.append((gettext("search"), shown.query))
        for one in shown.filter_specs:
            if shown.model_admin.owner_parameter in one.expected_parameters():
                continue
            if isinstance(one, AutocompleteFilter):
                text = one.chosen_text()
            else:
                chosen = [choice for choice in one.choices(shown) if choice.get("selected")]
                text = ", ".join(str(choice["display"]) for choice in chosen) if one.used_parameters else ""
            if text:
                found.append((str(one.title), text))
    return found
