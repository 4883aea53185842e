"""Types of what an admin is declared with: Django's type stubs have them, and Django has not."""

from typing import TYPE_CHECKING

Names = list[str] | tuple[str, ...]
"""Names of fields or columns."""

if TYPE_CHECKING:
    from django.contrib.admin.options import _FieldOpts, _FieldsetSpec, _ListDisplayT, _ListFilterT
    from django.db.models import Model
    from django.utils.functional import _StrOrPromise

    Text = _StrOrPromise
    Fieldset = tuple[Text | None, _FieldOpts]
    Fieldsets = _FieldsetSpec
    Columns = _ListDisplayT[Model]
    Filters = list[_ListFilterT] | tuple[_ListFilterT, ...]
else:
    Text = str
    Fieldset = Fieldsets = Columns = Filters = tuple
