"""Types of what an admin is declared with: Django's type stubs have them, and Django has not."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, TypedDict

from django.core.files.uploadedfile import UploadedFile
from django.forms import Widget
from django.utils.datastructures import MultiValueDict

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
    Actions = dict[str, tuple[Callable[..., str], str, str] | None]
    Filters = list[_ListFilterT] | tuple[_ListFilterT, ...]
else:
    Text = str
    Fieldset = Fieldsets = Columns = Actions = Filters = tuple

Entered = Mapping[str, object]
"""What a form is filled with: the texts of a request by the names of their inputs."""

Files = MultiValueDict[str, UploadedFile]
"""What a form is filled with beside them."""


class FormOptions(TypedDict, total=False):
    """What any form can be made with, beside what was entered."""

    prefix: str | None
    initial: MutableMapping[str, object] | None
    auto_id: bool | str
    empty_permitted: bool
    use_required_attribute: bool | None


class FieldOptions(TypedDict, total=False):
    """What any field of a form can be made with."""

    required: bool
    widget: Widget | type[Widget] | None
    label: Text | None
    initial: object
    help_text: Text
    disabled: bool
