"""The filters of the list of categories."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import django_filters
from django import forms
from django.db.models import Q
from django.http import QueryDict

from catalog.models import Category
from catalog.models.categories import CategoryQuerySet
from core.api import parameters
from core.errors import InvalidInput
from core.representation.languages import accepted_languages
from core.timestamps import parse_time


class DayField(forms.CharField):
    """A day (`2022-11-01`, its first instant in UTC) or an instant."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
        except ValueError:
            try:
                return parse_time(text)
            except InvalidInput:
                raise forms.ValidationError("It is a day such as 2022-11-01.") from None


class FlagField(forms.CharField):
    """`true` or `false`, in any case."""

    def to_python(self, value: Any) -> Any:
        try:
            return parameters.flag({"flag": value or ""}, "flag")
        except InvalidInput:
            raise forms.ValidationError("It is true or false.") from None


class DayFilter(django_filters.Filter):
    field_class = DayField


class FlagFilter(django_filters.Filter):
    field_class = FlagField


class CategoryFilter(django_filters.FilterSet):
    """Narrows categories by the parameters of the list.

    Texts of localized fields are found by any part of them, without regard to case, in the languages that
    the client accepts, or in all that the tenant has configured. Days and instants are exclusive.
    """

    code = django_filters.CharFilter(lookup_expr="iexact", max_length=200)
    ecn = django_filters.CharFilter(field_name="numbers__value", max_length=128)
    localizedName = django_filters.CharFilter(  # noqa: N815 - parameters of the contract
        field_name="name", method="any_translation", max_length=500
    )
    localizedDescription = django_filters.CharFilter(  # noqa: N815
        field_name="description", method="any_translation", max_length=500
    )
    localizedSlug = django_filters.CharFilter(  # noqa: N815
        field_name="slug", method="any_translation", max_length=500
    )
    validityFrom = DayFilter(field_name="valid_from", lookup_expr="gt")  # noqa: N815
    validityTo = DayFilter(field_name="valid_to", lookup_expr="lt")  # noqa: N815
    metadataModifiedAt = DayFilter(field_name="modified_at", lookup_expr="gt")  # noqa: N815
    showRoots = FlagFilter(method="only_roots")  # noqa: N815
    showUnpublished = FlagFilter(method="also_unpublished")  # noqa: N815

    class Meta:
        model = Category
        fields: Sequence[str] = ()

    def __init__(self, *, query: QueryDict, tenant: Any, accept_language: str | None) -> None:
        super().__init__(data=query, queryset=Category.objects.filter(tenant=tenant.id))
        self.languages = accepted_languages(accept_language) or tenant.languages

    def categories(self) -> CategoryQuerySet:
        """Return the categories that pass; raise InvalidInput naming the first faulty parameter."""
        if not self.is_valid():
            field, [message, *_] = next(iter(self.errors.items()))
            raise InvalidInput(f"{field}: {message}", field=field)
        return self.qs

    def any_translation(self, queryset: CategoryQuerySet, name: str, value: str) -> CategoryQuerySet:
        condition = Q()
        for language in self.languages:
            condition |= Q(**{f"{name}__{language}__icontains": value})
        return queryset.filter(condition)

    def only_roots(self, queryset: CategoryQuerySet, name: str, value: bool) -> CategoryQuerySet:
        return queryset.roots() if value else queryset

    def also_unpublished(self, queryset: CategoryQuerySet, name: str, value: bool) -> CategoryQuerySet:
        return queryset if value else queryset.published()
