"""What is asked for chosen members or items, and for combinations of segments."""

from typing import Unpack

from django import forms
from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteSelect, MomentField
from core.admin.declared import Entered, FormOptions, Text
from core.admin.relations import foreign_key
from segments.forms.windows import check_window
from segments.models import ItemAssignment


def segment_field(
    segments: QuerySet, admin_site: AdminSite, *, label: Text, required: bool = True, help_text: Text
) -> forms.ModelChoiceField:
    """Return a field that searches a segment as you type."""
    widget = AutocompleteSelect(foreign_key(ItemAssignment, "segment"), admin_site)
    return forms.ModelChoiceField(
        segments, widget=widget, label=label, required=required, help_text=help_text
    )


class TargetForm(forms.Form):
    """The segment that chosen members or items go into."""

    required_css_class = "required"

    def __init__(
        self,
        data: Entered | None,
        *,
        segments: QuerySet,
        admin_site: AdminSite,
        **options: Unpack[FormOptions],
    ) -> None:
        super().__init__(data, **options)
        self.fields["segment"] = segment_field(
            segments, admin_site, label=_("To the segment"), help_text=_("Search by name or id.")
        )


class WindowsForm(forms.Form):
    """The window that chosen members or items get."""

    valid_from = MomentField(
        label=_("Valid from"), required=False, help_text=_("Leave empty for no start of their own.")
    )
    valid_to = MomentField(
        label=_("Valid to"), is_end=True, required=False, help_text=_("Leave empty for no end of their own.")
    )

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        check_window(self)
        return cleaned


OPERATIONS = {
    "or": _("A or B: the members of either"),
    "and": _("A and B: only members of both"),
    "minus": _("A without B: members of A who are not in B"),
    "copy": _("A only: a copy"),
}


class CombineForm(forms.Form):
    """A second segment, what is taken of both, and the segment that gets the result: a new or another one."""

    required_css_class = "required"

    operation = forms.ChoiceField(choices=list(OPERATIONS.items()), widget=forms.HiddenInput)
    """Sent by the button that counts, so that counting takes no click of its own."""

    def __init__(
        self,
        data: Entered | None,
        *,
        segments: QuerySet,
        admin_site: AdminSite,
        **options: Unpack[FormOptions],
    ) -> None:
        super().__init__(data, **options)
        self.fields["other"] = segment_field(
            segments, admin_site, label=_("Segment B"), required=False, help_text=_("Search by name or id.")
        )
        self.fields["into"] = segment_field(
            segments,
            admin_site,
            label=_("Into the segment"),
            required=False,
            help_text=_("Members are added to it; nobody is removed. Leave empty for a new segment."),
        )
        self.fields["name"] = forms.CharField(
            label=_("or into a new segment named"),
            required=False,
            max_length=200,
            help_text=_("It is made inactive, on the site of A. Leave empty to have it named after both."),
        )

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        needs_other = self.cleaned_data.get("operation") != "copy" and "other" not in self.errors
        if needs_other and not self.cleaned_data.get("other"):
            self.add_error("other", _("Choose the second segment."))
        return cleaned
