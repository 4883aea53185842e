from django import forms
from django.utils.translation import gettext_lazy as _


def check_window(form: forms.BaseForm) -> None:
    """Add an error to the form when its window ends before it starts."""
    starts_at, ends_at = form.cleaned_data.get("valid_from"), form.cleaned_data.get("valid_to")
    if starts_at and ends_at and starts_at > ends_at:
        form.add_error("valid_to", _("The end must not be earlier than the start."))
