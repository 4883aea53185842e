from typing import Unpack

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.errors import UnacceptablePassword
from accounts.models import ContactAssignment, Customer, LegalEntity
from accounts.operations.customers import check_new_password
from core.admin import DocumentForm
from core.admin.declared import Entered, FormOptions
from core.admin.faults import refusal_text
from core.text import has_visible_character, normalized, trimmed

NEW_PASSWORD = {"autocomplete": "new-password"}


class CustomerForm(DocumentForm):
    photo_url = forms.URLField(label=_("Photo"), assume_scheme="https", max_length=2_000, required=False)

    class Meta:
        model = Customer
        fields = "__all__"
        labels = {"external_id": _("Customer number")}
        help_texts = {
            "email": _("The login. No two customers of a tenant share one."),
            "is_on_hold": _("May not log in for the time being."),
        }

    def clean_email(self) -> str | None:
        return normalized(trimmed(self.cleaned_data["email"] or "")) or None

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        for name in ("title", "first_name", "middle_name", "last_name", "company"):
            if text := self.cleaned_data.get(name):
                self.cleaned_data[name] = normalized(text)
        email = self.cleaned_data.get("email")
        if email:
            others = Customer.objects.for_tenant(self.instance.tenant_id).with_email(email)
            if others.exclude(pk=self.instance.pk).exists():
                self.add_error("email", _("Another customer has this already."))
        return cleaned


class CustomerPasswordForm(forms.Form):
    """A customer's new password, entered twice."""

    password = forms.CharField(
        label=_("New password"), max_length=128, strip=False, widget=forms.PasswordInput(NEW_PASSWORD)
    )
    again = forms.CharField(
        label=_("Again"), max_length=128, strip=False, widget=forms.PasswordInput(NEW_PASSWORD)
    )

    def __init__(
        self, data: Entered | None = None, *, customer: Customer, **options: Unpack[FormOptions]
    ) -> None:
        super().__init__(data, **options)
        self.customer = customer

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        password, again = self.cleaned_data.get("password"), self.cleaned_data.get("again")
        if password and again and password != again:
            self.add_error("again", _("The two passwords differ."))
        elif password:
            try:
                check_new_password(password, self.customer, field="password")
            except UnacceptablePassword as refused:
                self.add_error("password", refusal_text(refused))
        return cleaned


class LegalEntityForm(DocumentForm):
    class Meta:
        model = LegalEntity
        fields = "__all__"
        help_texts = {"parent": _("For a subsidiary: the company it belongs to.")}

    def clean_name(self) -> str:
        name: str = normalized(self.cleaned_data["name"])
        if not has_visible_character(name):
            raise forms.ValidationError(_("Enter a name that can be seen."), code="required")
        return name


class ContactForm(DocumentForm):
    class Meta:
        model = ContactAssignment
        fields = "__all__"
        help_texts = {"customer": _("May act for this company from then on.")}

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        customer, entity = self.cleaned_data.get("customer"), self.cleaned_data.get("legal_entity")
        if customer and entity:
            same = ContactAssignment.objects.filter(
                tenant=customer.tenant_id, customer=customer, legal_entity=entity
            )
            if same.exclude(pk=self.instance.pk).exists():
                self.add_error("customer", _("The customer is a contact of this legal entity already."))
        return cleaned
