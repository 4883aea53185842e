"""Lists of the admin: columns and filters, what addresses may ask of them, and actions on their rows."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.fields.related import RelatedField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core.actors import current_actor, with_source
from core.admin.actions import function_of
from core.admin.declared import Columns, Filters, Names
from core.admin.deletion import DatabaseDeletion
from core.admin.faults import refusal_text
from core.admin.filters import AutocompleteFilter, TenantRelatedFilter, filter_parameters, filter_parts
from core.admin.forms import AutocompleteSelect
from core.admin.keys import usable_keys
from core.admin.pages import registered_filters
from core.admin.paginator import CappedPaginator
from core.admin.tenants import has_tenant, sees_all_tenants
from core.errors import DomainError
from core.filter_sources import FILTERED, filter_source
from core.unavailability import contention_as_refusal

logger = logging.getLogger(__name__)


class UnusableParameters(Exception):
    """The parameters of an address describe no list."""


class AnnotatedChangeList(ChangeList):
    """A change list whose rows carry what `TenantLists.annotated` adds."""

    model_admin: "TenantLists"

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> models.QuerySet:
        rows = super().get_queryset(request, exclude_parameters)
        self._keep_owner(request, self.model_admin.owner_parameter)
        return self.shown_rows(request, rows)

    def shown_rows(self, request: HttpRequest, rows: models.QuerySet) -> models.QuerySet:
        """Return the rows with all that the list shows of them."""
        related = self.model_admin.get_list_select_related(request)
        if not isinstance(related, bool):  # Django leaves them out, since the rows come with their tenant
            rows = rows.select_related(*related)
        return self.model_admin.annotated(rows)

    whole_list = "?"
    """The address of the list without its search and filters."""

    def _keep_owner(self, request: HttpRequest, parameter: str) -> None:
        """Let a list of the parts of one row stay that when its filters are cleared."""
        if not (parameter and (owner := request.GET.get(parameter))):
            return
        self.whole_list = f"?{urlencode({parameter: owner})}"
        self.has_active_filters = bool(set(self.filter_params) - {parameter})
        self.clear_all_filters_qs = self.get_query_string({parameter: owner}, list(self.filter_params))


class TenantLists(DatabaseDeletion):
    """The list of a model admin: only what is declared filters it, and it never counts its whole table."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count the whole table, once for each choice
    list_per_page = 50

    linked_lookups: tuple[str, ...] = ()
    """Parameters of links to the list that no filter in `list_filter` reads."""
    owner_parameter = ""
    """The parameter that limits the list to the parts of one row, such as the members of a segment."""

    def annotated(self, queryset: models.QuerySet) -> models.QuerySet:
        """Add what only the list shows, such as counts."""
        return queryset

    def allowed_lookups(self, request: HttpRequest) -> set[str]:
        """Return the only parameters that filter the list: those of its filters, date hierarchy and links."""
        found = set(self.linked_lookups)
        if self.date_hierarchy:
            found |= {f"{self.date_hierarchy}__{part}" for part in ("year", "month", "day")}
        for entry in self.get_list_filter(request):
            found |= filter_parameters(entry, request, self)
            if isinstance(entry, tuple) and entry[1] in (AutocompleteFilter, TenantRelatedFilter):
                found.add(f"{entry[0]}__in")  # as deletion pages link to what goes with several rows
        return found

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow what is declared and nothing else: Django's own rule allows every column of the model.

        Who may see a list could read any column through it, a password hash included, by asking again and
        again whether it starts with a certain text.
        """
        assert request is not None  # only Django before 5.0 leaves it out
        return lookup in self.allowed_lookups(request)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list that the parameters describe; raises UnusableParameters when they describe none."""
        try:
            shown = super().get_changelist_instance(request)
        except DisallowedModelAdminLookup as refused:
            logger.warning("The admin refused to filter %s: %s", self.opts.label, refused)
            raise UnusableParameters from refused
        except IncorrectLookupParameters as refused:
            raise UnusableParameters from refused
        if not shown.is_popup:
            shown.title = capfirst(str(self.opts.verbose_name_plural))
        request.shown_list = shown  # type: ignore[attr-defined]
        return shown

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show the list. Parameters that it cannot be filtered by lead to the whole list, which says so."""
        try:
            return super().changelist_view(request, extra_context)
        except UnusableParameters:
            self.message_user(
                request,
                _(
                    "The address holds a filter, an order or a page that this list does not have. "
                    "Choose again from the filters beside the list."
                ),
                messages.WARNING,
            )
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return AnnotatedChangeList

    @property
    def media(self) -> forms.Media:
        media = super().media
        chosen = [
            str(entry[0])
            for entry in self.list_filter
            if isinstance(entry, tuple) and entry[1] is AutocompleteFilter
        ]
        if chosen:
            field = get_fields_from_path(self.model, chosen[0])[-1]
            assert isinstance(field, RelatedField)
            media += AutocompleteSelect(field, self.admin_site).media
            media += forms.Media(js=["core/autocomplete_filter.js"])
        return media

    def get_list_display(self, request: HttpRequest) -> Columns:
        columns = list(super().get_list_display(request))
        return [*columns, "tenant"] if self._shows_tenant(request) else columns

    def get_list_filter(self, request: HttpRequest) -> Filters:
        filters = [
            (entry, TenantRelatedFilter) if isinstance(entry, str) and self._is_relation(entry) else entry
            for entry in (*super().get_list_filter(request), *registered_filters(self.opts.label))
        ]
        return [*filters, ("tenant", TenantRelatedFilter)] if self._shows_tenant(request) else filters

    def get_list_select_related(self, request: HttpRequest) -> bool | Names:
        related = super().get_list_select_related(request)
        if not isinstance(related, bool) and self._shows_tenant(request):
            return [*related, "tenant"]
        return related

    def _shows_tenant(self, request: HttpRequest) -> bool:
        return has_tenant(self.model) and sees_all_tenants(request)

    def _is_relation(self, path: str) -> bool:
        try:
            return bool(get_fields_from_path(self.model, path)[-1].remote_field)
        except FieldDoesNotExist:
            return False

    def response_action(
        self, request: HttpRequest, queryset: models.QuerySet, **location: object
    ) -> HttpResponse | None:
        # Django 6.1 also says where the action was chosen
        selected = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        if usable_keys(self.opts.pk, selected) != selected:
            message = "The selection holds something that is no row of this list. Nothing was changed."
            self.message_user(request, message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        try:
            with contention_as_refusal(), self._filter_as_source(request, len(selected)):
                return super().response_action(request, queryset, **location)
        except DomainError as refusal:
            self.message_user(request, refusal_text(refusal), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    @contextmanager
    def _filter_as_source(self, request: HttpRequest, number: int) -> Iterator[None]:
        """Name the filter of the list as the occasion of an action on all rows that it matches."""
        shown: ChangeList | None = getattr(request, "shown_list", None)
        actor = current_actor()
        if shown is None or actor is None:
            yield
            return
        parts = filter_parts(shown, owner=self.owner_parameter)
        acts_on_all = request.POST.get("select_across") == "1" or number >= shown.result_count
        if not parts or not acts_on_all:
            yield
            return
        with with_source(FILTERED, filter_source(actor.source_id, parts)):
            yield

    def get_actions(self, request: HttpRequest, action_location: object = None) -> Any:
        """Offer what the user may do; actions that other packages add may need a permission of theirs.

        Django 6.1 also says where they are shown, to methods that name the parameter.
        """
        location = {} if action_location is None else {"action_location": action_location}
        found: Any = super().get_actions(request, **location)
        user = request.user
        rights = {name: getattr(function_of(entry), "right", "") for name, entry in found.items()}
        return {
            name: entry for name, entry in found.items() if not rights[name] or user.has_perm(rights[name])
        }
