"""The admin's base: pages limited to the user's tenant, forms that let operations decide."""

from core.admin.filters import AutocompleteFilter, TenantRelatedFilter
from core.admin.forms import AutocompleteSelect, DocumentForm, JsonField, LocalizedField
from core.admin.model_admin import PlatformAdmin, ReadOnlyAdmin, TenantAdmin, adopt
from core.admin.moments import MomentField, shown_moment, window_text
from core.admin.paginator import CappedPaginator
from core.admin.search import starting_with

__all__ = [
    "AutocompleteFilter",
    "AutocompleteSelect",
    "CappedPaginator",
    "DocumentForm",
    "JsonField",
    "LocalizedField",
    "MomentField",
    "PlatformAdmin",
    "ReadOnlyAdmin",
    "TenantAdmin",
    "TenantRelatedFilter",
    "adopt",
    "shown_moment",
    "starting_with",
    "window_text",
]
