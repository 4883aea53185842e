from typing import Unpack

from django import forms
from django.contrib.admin import AdminSite
from django.db.models import ForeignKey, QuerySet
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteSelect, MomentField
from core.admin.declared import Entered, FormOptions, Text
from core.model_fields import foreign_key
from segments.models import CustomerAssignment, Segment


class PreviewForm(forms.Form):
    """The customer to preview, perhaps acting for a legal entity, on a site, at an instant."""

    required_css_class = "required"

    def __init__(
        self,
        data: Entered | None,
        *,
        admin_site: AdminSite,
        customers: QuerySet,
        legal_entities: QuerySet,
        sites: QuerySet,
        **options: Unpack[FormOptions],
    ) -> None:
        super().__init__(data, **options)
        self.fields["customer"] = _choice(
            customers,
            foreign_key(CustomerAssignment, "customer"),
            admin_site,
            label=_("Customer"),
            help_text=_("Search by number, or by the beginning of the e-mail or a name."),
        )
        self.fields["legal_entity"] = _choice(
            legal_entities,
            foreign_key(CustomerAssignment, "legal_entity"),
            admin_site,
            label=_("Acting for"),
            required=False,
            help_text=_(
                "Leave empty for their only company; with several, or without one, they act for none."
            ),
        )
        self.fields["site"] = _choice(
            sites,
            foreign_key(Segment, "site"),
            admin_site,
            required=False,
            help_text=_("Leave empty for all sites."),
        )
        self.fields["at"] = MomentField(label=_("At"), required=False, help_text=_("Leave empty for now."))
        self.fields["than"] = MomentField(
            label=_("Compared with"),
            required=False,
            help_text=_("Another time; the page says what is new and what is gone against it."),
        )


def _choice(
    rows: QuerySet,
    field: ForeignKey,
    admin_site: AdminSite,
    *,
    label: Text | None = None,
    required: bool = True,
    help_text: Text,
) -> forms.ModelChoiceField:
    widget = AutocompleteSelect(field, admin_site)
    return forms.ModelChoiceField(rows, widget=widget, label=label, required=required, help_text=help_text)
