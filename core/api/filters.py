"""Lists filtered by parameters: django-filter's FilterSets as conditions of the SQL representations.

    class LegalEntityFilters(ListFilterSet):
        name = TextFilter(lookup_expr="icontains")
        legal_name = TextFilter(parameter="legalInfo.legalName", field_name="legal_info__legalName")

        class Meta:
            model = LegalEntity
            alias = "legal_entity"

A parameter has the name of its attribute in camel case, or `parameter`. Its filter narrows a queryset of the
model as always; the WHERE of that queryset becomes a condition on the table's `alias`, so that the list stays
one statement. A filter that needs other SQL than Django makes names a `condition` instead.
"""

import inspect
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any, ClassVar

import django_filters
from django import forms
from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter

from core.api import parameters
from core.errors import InvalidInput
from core.json_types import JsonMapping
from core.sql.composition import Sql, in_queryset
from core.tenancy.callers import TenantRecord
from core.timestamps import parse_time


class TextField(forms.CharField):
    default_error_messages = {
        "max_length": "is longer than %(limit_value)d characters.",
        "null_characters_not_allowed": "holds the character NUL.",
    }


class DayField(forms.CharField):
    """A day (`2022-11-01`, its first instant in UTC) or an instant."""

    def to_python(self, value: object) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
        except ValueError:
            try:
                return parse_time(text)
            except InvalidInput:
                raise forms.ValidationError(
                    "must be a day such as 2022-11-01, or an instant with an offset."
                ) from None


class FlagField(forms.CharField):
    """`true` or `false`, in any case; empty asks for nothing."""

    def to_python(self, value: object) -> Any:
        text = str(value or "").strip()
        if not text:
            return None
        try:
            return parameters.flag({"flag": text}, "flag")
        except InvalidInput:
            raise forms.ValidationError(f"is true or false, not {text[:40]!r}.") from None


class ListFilter(django_filters.Filter):
    """A filter of a list. `parameter` is its name on the wire, `description` what the OpenAPI document says.

    `condition` names a method of the FilterSet that returns a condition for the value instead of a queryset,
    and `needs` the joins of the representation that the condition uses.
    """

    schema: ClassVar[JsonMapping] = {"type": "string"}

    def __init__(
        self,
        *,
        description: str,
        parameter: str = "",
        condition: str = "",
        needs: tuple[str, ...] = (),
        **options: object,
    ) -> None:
        super().__init__(**options)
        self.description = description
        self.parameter = parameter
        self.condition = condition
        self.needs = needs


class TextFilter(ListFilter):
    field_class = TextField

    def __init__(self, *, max_length: int = parameters.LARGEST_TEXT, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)


class DayFilter(ListFilter):
    field_class = DayField


class FlagFilter(ListFilter):
    field_class = FlagField
    schema = {"type": "boolean"}


class ReferenceFilter(TextFilter):
    """Keeps the rows whose foreign key names the tenant's document of this wire id."""

    def filter(self, queryset: QuerySet, value: object) -> QuerySet:
        if not value:
            return queryset
        assert self.field_name is not None
        assert self.parent is not None
        model = queryset.model._meta.get_field(self.field_name).related_model
        named = model._base_manager.filter(tenant=self.parent.tenant.id, external_id=value).order_by()
        return queryset.filter(**{self.field_name: named.values("pk")[:1]})


class ListFilterSet(django_filters.FilterSet):
    """The filters of a list, read from the query. `Meta.alias` is the table's name in the statement."""

    tenant: TenantRecord
    base_filters: dict[str, ListFilter]

    class Meta:
        model: Any = None
        alias = ""

    def __init__(self, query: QueryDict, *, tenant: TenantRecord, **facts: object) -> None:
        self.tenant = tenant
        for name, fact in facts.items():
            setattr(self, name, fact)
        model = self._meta.model
        # The form has only what was sent: a field takes longer to make than to check.
        self.base_filters = {name: each for name, each in type(self).base_filters.items() if query.get(name)}
        super().__init__(data=query, queryset=model._base_manager.all() if model else None)

    @classmethod
    def get_filters(cls) -> dict[str, ListFilter]:
        declared = super().get_filters().items()
        return {each.parameter or wire_name(name): each for name, each in declared}

    @classmethod
    def names_any(cls, query: QueryDict) -> bool:
        """Say whether the query has any of the parameters; building the form takes longer than most lists."""
        return any(query.get(name) for name in cls.base_filters)

    @classmethod
    def described(cls) -> tuple[OpenApiParameter, ...]:
        """Return the parameters as the OpenAPI document shows them."""
        return tuple(
            OpenApiParameter(
                name,
                {**declared.schema, **maximum_length(declared)},
                OpenApiParameter.QUERY,
                False,
                declared.description,
            )
            for name, declared in cls.base_filters.items()
        )

    def values(self) -> dict[str, object]:
        """Return the value of each parameter that was sent; raise InvalidInput for a faulty one."""
        if not self.is_valid():
            name, [message, *_] = next(iter(self.errors.items()))
            raise InvalidInput(f"{name} {message}", field=name)
        found = self.form.cleaned_data.items()
        return {name: value for name, value in found if value not in (None, "")}

    def conditions(self) -> tuple[list[Sql], set[str]]:
        """Return the conditions that the parameters ask for, and the joins that they need."""
        conditions: list[Sql] = []
        needs: set[str] = set()
        queryset = self.queryset
        for name, value in self.values().items():
            declared = self.filters[name]
            if declared.condition:
                found = getattr(self, declared.condition)(value)
                conditions += [found] if found is not None else []
                needs.update(declared.needs)
            else:
                queryset = declared.filter(queryset, value)
        if queryset is not None:
            conditions += condition_of(queryset, self.table_alias())
        return conditions, needs

    @classmethod
    def table_alias(cls) -> str:
        return inspect.getattr_static(cls, "Meta").alias


@cache
def wire_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def maximum_length(declared: ListFilter) -> dict[str, int]:
    most = declared.extra.get("max_length")
    return {"maxLength": most} if most and most < parameters.LARGEST_TEXT else {}


def condition_of(queryset: QuerySet, alias: str) -> list[Sql]:
    """Return what the queryset filters by as conditions on its table under this alias.

    A queryset that joins other tables becomes a condition on the key.
    """
    query = queryset.query.clone()
    if not query.where:
        return []
    table = query.get_initial_alias()
    if sum(1 for count in query.alias_refcount.values() if count) > 1:
        return [in_queryset(f"{alias}.id", queryset)]
    if table != alias:
        query.change_aliases({table: alias})
    try:
        text, params = query.get_compiler(DEFAULT_DB_ALIAS).compile(query.where)
    except EmptyResultSet:
        return [Sql("FALSE")]
    except FullResultSet:
        return []
    return [Sql(text, tuple(params))]
