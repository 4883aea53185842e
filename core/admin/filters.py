"""List filters that never name another tenant's rows."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.db.models.fields.related import RelatedField
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin.declared import Text
from core.admin.forms import AutocompleteSelect
from core.admin.keys import key_of
from core.admin.tenants import has_tenant, of_tenant, sees_all_tenants, staff_tenant_id
from core.model_fields import related_model

MOST_LISTED = 200


def visible_rows(
    model: type[models.Model], request: HttpRequest, model_admin: admin.ModelAdmin
) -> models.QuerySet:
    """Return the rows that the user may see, as that model's own admin page would."""
    if model_admin.admin_site.is_registered(model):
        return model_admin.admin_site.get_model_admin(model).get_queryset(request)
    rows = model._default_manager.all()
    return of_tenant(rows, "tenant", staff_tenant_id(request)) if has_tenant(model) else rows


class TenantRelatedFilter(admin.RelatedFieldListFilter):
    """A filter by a related row, for relations with few rows: all of them are listed."""

    def field_choices(
        self, field: RelatedField, request: HttpRequest, model_admin: admin.ModelAdmin
    ) -> list[tuple[str, Text]]:
        model = related_model(field)
        rows = visible_rows(model, request, model_admin)
        names_tenant = has_tenant(model) and sees_all_tenants(request)
        return [(row.pk, f"{row} ({row.tenant})" if names_tenant else str(row)) for row in rows[:MOST_LISTED]]


class AutocompleteFilter(admin.FieldListFilter):
    """A filter by a related row, for relations with many rows: one is searched for."""

    template = "admin/autocomplete_filter.html"

    def __init__(
        self,
        field: models.ForeignKey,
        request: HttpRequest,
        params: dict[str, str],
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
        related = related_model(field)
        if field.name.replace("_", "") == related._meta.model_name:
            self.title = related._meta.verbose_name or self.title  # as its own pages are called
        self.names_owner = getattr(model_admin, "owner_parameter", "") == self.parameter
        choice = ModelChoiceField(visible_rows(related, request, model_admin), required=False)
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
        """Give the template the field and the address that the choice is added to.

        Nothing where the list is a tab of the row that was chosen: there every row is of that one.
        """
        if self.value and self.names_owner:
            return
        yield {
            "field": self.choice.widget.render(
                f"filter-{self.field_path}", self.value, {"id": f"filter-{self.field_path}"}
            ),
            "id": f"filter-{self.field_path}",
            "parameter": self.parameter,
            "query_string": changelist.get_query_string(remove=[self.parameter]),
            "selected": bool(self.value),
        }


class LinkedFilter(admin.SimpleListFilter):
    """A filter that links from other pages set: in the list it can only be taken away."""

    template = "admin/chosen_filter.html"

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        """Return what the value means; empty when it means nothing."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        value = self.value()
        if not value:
            return []
        if not (text := self.chosen_text(value, request, model_admin)):
            raise IncorrectLookupParameters
        return [(value, text)]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)


def days_parameter(first: date, last: date) -> str:
    """Return the value of a `DaysFilter` for these days, both included."""
    return f"{first.isoformat()}..{last.isoformat()}"


def days_of(value: str) -> tuple[date, date] | None:
    """Return the days that a value of a `DaysFilter` names; None when it names none."""
    try:
        first, last = (date.fromisoformat(text) for text in value.split(".."))
    except ValueError:
        return None
    return (first, last) if first <= last < date.max else None


class DaysFilter(LinkedFilter):
    """Rows of some days of UTC, by the `column` that holds when."""

    title = _("days")
    parameter_name = "days"
    column = ""

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        if (days := days_of(value)) is None:
            return ""
        texts = dict.fromkeys(date_format(day, "DATE_FORMAT") for day in days)
        return f"{' – '.join(texts)} (UTC)"

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        if (days := days_of(self.value() or "")) is None:
            return queryset
        first, end = (datetime.combine(day, time.min, UTC) for day in (days[0], days[1] + timedelta(1)))
        return queryset.filter(**{f"{self.column}__gte": first, f"{self.column}__lt": end})


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


def filter_parts(shown: ChangeList, *, owner: str) -> list[tuple[str, str]]:
    """Return what a list is filtered by, each with the value in English; without the owner of its rows.

    `owner` is the parameter that names that one.
    """
    found = []
    with translation.override("en"):
        if shown.query:
            found.append((gettext("search"), shown.query))
        for one in shown.filter_specs:
            if owner in one.expected_parameters():
                continue
            if isinstance(one, AutocompleteFilter):
                text = one.chosen_text()
            else:
                chosen = [choice for choice in one.choices(shown) if choice.get("selected")]
                text = ", ".join(str(choice["display"]) for choice in chosen) if one.used_parameters else ""
            if text:
                found.append((str(one.title), text))
    return found
