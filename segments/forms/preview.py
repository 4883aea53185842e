from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteSelect, MomentField
from segments.models import CustomerAssignment, Segment


class PreviewForm(forms.Form):
    """The customer to preview, perhaps acting for a legal entity, on a site, at an instant."""

    required_css_class = "required"

    def __init__(
        self,
        *arguments: Any,
        admin_site: AdminSite,
        customers: QuerySet,
        legal_entities: QuerySet,
        sites: QuerySet,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.fields["customer"] = _choice(
            customers,
            CustomerAssignment._meta.get_field("customer"),
            admin_site,
            label=_("Customer"),
            help_text=_("Search by number, or by the beginning of the e-mail or a name."),
        )
        self.fields["legal_entity"] = _choice(
            legal_entities,
            CustomerAssignment._meta.get_field("legal_entity"),
            admin_site,
            label=_("Acting for"),
            required=False,
            help_text=_(
                "Leave empty for their only company; with several, or without one, they act for none."
            ),
        )
        self.fields["site"] = _choice(
            sites,
            Segment._meta.get_field("site"),
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


def _choice(rows: QuerySet, field: Any, admin_site: AdminSite, **options: Any) -> forms.ModelChoiceField:
    return forms.ModelChoiceField(rows, widget=AutocompleteSelect(field, admin_site), **options)
