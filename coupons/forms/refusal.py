from typing import Unpack

from django import forms
from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteSelect, MomentField
from core.admin.declared import Entered, FormOptions
from core.model_fields import foreign_key
from core.tenancy.models import CURRENCY, Tenant
from coupons.models import Redemption
from segments.models import CustomerAssignment


class RefusalForm(forms.Form):
    """The customer, the order and the instant for which a coupon is judged."""

    required_css_class = "required"

    def __init__(
        self,
        data: Entered | None,
        *,
        admin_site: AdminSite,
        tenant: Tenant,
        customers: QuerySet,
        legal_entities: QuerySet,
        **options: Unpack[FormOptions],
    ) -> None:
        super().__init__(data, **options)
        self.fields["customer"] = forms.ModelChoiceField(
            customers,
            label=_("Customer"),
            required=False,
            widget=AutocompleteSelect(foreign_key(Redemption, "customer"), admin_site, tenant_id=tenant.pk),
            help_text=_("By number, or the beginning of e-mail or name. Leave empty for somebody unknown."),
        )
        self.fields["legal_entity"] = forms.ModelChoiceField(
            legal_entities,
            label=_("Acting for"),
            required=False,
            widget=AutocompleteSelect(
                foreign_key(CustomerAssignment, "legal_entity"), admin_site, tenant_id=tenant.pk
            ),
            help_text=_("Leave empty for their only company; without one, or with several, for none."),
        )
        self.fields["total"] = forms.DecimalField(
            label=_("Order of"),
            min_value=0,
            max_digits=18,
            decimal_places=6,
            required=False,
            help_text=_("Leave empty to judge without an order."),
        )
        self.fields["currency"] = forms.CharField(
            label=_("Currency"),
            max_length=3,
            required=False,
            initial=tenant.currency,
            validators=[CURRENCY],
        )
        self.fields["at"] = MomentField(label=_("At"), required=False, help_text=_("Leave empty for now."))

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        if self.cleaned_data.get("total") is not None and not self.cleaned_data.get("currency"):
            self.add_error("currency", _("Name the order's currency."))
        return cleaned
