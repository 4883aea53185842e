from typing import Any

from django import forms

from accounts.models import ContactAssignment, Customer, LegalEntity
from core.admin import DocumentForm


class CustomerForm(DocumentForm):
    photo_url = forms.URLField(label="Photo", assume_scheme="https", max_length=2_000, required=False)

    class Meta:
        model = Customer
        fields = "__all__"
        labels = {"external_id": "Customer number"}
        help_texts = {
            "email": "The login. No two customers of a tenant share one.",
            "is_on_hold": "May not log in for the time being.",
        }

    def clean(self) -> Any:
        cleaned = super().clean()
        email = self.cleaned_data.get("email")
        if email:
            others = Customer.objects.for_tenant(self.instance.tenant_id).with_email(email)
            if others.exclude(pk=self.instance.pk).exists():
                self.add_error("email", "Another customer has this already.")
        return cleaned


class LegalEntityForm(DocumentForm):
    class Meta:
        model = LegalEntity
        fields = "__all__"
        help_texts = {"parent": "For a subsidiary: the company it belongs to."}

    def clean(self) -> Any:
        cleaned = super().clean()
        parent = self.cleaned_data.get("parent")
        if parent is not None and parent.pk == self.instance.pk:
            self.add_error("parent", "A legal entity cannot stand below itself.")
        return cleaned


class ContactForm(DocumentForm):
    class Meta:
        model = ContactAssignment
        fields = "__all__"
        help_texts = {"customer": "May act for this company from then on."}

    def clean(self) -> Any:
        cleaned = super().clean()
        customer, entity = self.cleaned_data.get("customer"), self.cleaned_data.get("legal_entity")
        if customer and entity:
            same = ContactAssignment.objects.filter(
                tenant=customer.tenant_id, customer=customer, legal_entity=entity
            )
            if same.exclude(pk=self.instance.pk).exists():
                self.add_error("customer", "The customer is a contact of this legal entity already.")
        return cleaned
