"""What is asked for chosen members or items, and for combinations of segments."""

from django import forms
from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteSelect, MomentField
from core.admin.declared import Entered, Text
from core.model_fields import foreign_key
from segments.forms.windows import check_window
from segments.models import ItemAssignment

SEARCH = _("Search by name or id.")


class SegmentChoice(forms.Form):
    """A form in which segments are searched as you type."""

    required_css_class = "required"

    def __init__(self, data: Entered | None, *, segments: QuerySet, admin_site: AdminSite) -> None:
        super().__init__(data)
        self.segments, self.admin_site = segments, admin_site
        self.add_fields()

    def add_fields(self) -> None:
        """Add the fields of the form, in their order; some are made by `segment_field`."""
        raise NotImplementedError

    def segment_field(
        self,
        *,
        label: Text | None = None,
        required: bool = True,
        help_text: Text = SEARCH,
    ) -> forms.ModelChoiceField:
        widget = AutocompleteSelect(foreign_key(ItemAssignment, "segment"), self.admin_site)
        return forms.ModelChoiceField(
            self.segments, widget=widget, label=label, required=required, help_text=help_text
        )


class TargetForm(SegmentChoice):
    """The segment that chosen members or items go into."""

    def add_fields(self) -> None:
        self.fields["segment"] = self.segment_field(label=_("To the segment"))


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


class CombineForm(SegmentChoice):
    """A second segment, what is taken of both, and the segment that gets the result: a new or another one."""

    operation = forms.ChoiceField(choices=list(OPERATIONS.items()), widget=forms.HiddenInput)
    """Sent by the button that counts, so that counting takes no click of its own."""

    def add_fields(self) -> None:
        self.fields["other"] = self.segment_field(label=_("Segment B"), required=False)
        self.fields["into"] = self.segment_field(
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
