from collections.abc import Collection

from accounts.operations.documents import Change
from core.admin.forms import DocumentForm


def change_of(form: DocumentForm, *, apart: Collection[str] = ()) -> Change:
    """Return what a document's form asks for; the names of `apart` go to the operation by another way."""
    names = [name for name in form.instance._meta._forward_fields_map if name in form.cleaned_data]
    values = {name: form.cleaned_data[name] for name in names if name not in ("external_id", *apart)}
    return Change(values, form.version_seen)
