from typing import Any

from segments.forms.segments import WindowForm
from segments.models import CustomerAssignment, ItemAssignment
from segments.operations.items import NO_SUBCATEGORIES

WINDOW_HELP = {
    "valid_from": "Leave empty to count as soon as the segment does.",
    "valid_to": "Leave empty to count as long as the segment does.",
}


class CustomerAssignmentForm(WindowForm):
    class Meta:
        model = CustomerAssignment
        fields = "__all__"
        help_texts = {
            "customer": "Search by number, or by the beginning of the e-mail or a name.",
            "legal_entity": "For a B2B membership: it counts only while the customer acts for this company. "
            "Leave empty for a B2C membership, which always counts.",
            **WINDOW_HELP,
        }

    def clean(self) -> Any:
        cleaned = super().clean()
        segment, customer = self.cleaned_data.get("segment"), self.cleaned_data.get("customer")
        if segment and customer:
            entity = self.cleaned_data.get("legal_entity")
            if CustomerAssignment.objects.filter(
                tenant=segment.tenant_id, segment=segment, customer=customer, legal_entity=entity
            ).exists():
                acting = f", acting for {entity.name}," if entity else ""
                self.add_error("customer", f"The customer{acting} is in this segment already.")
        return cleaned


class ItemAssignmentForm(WindowForm):
    class Meta:
        model = ItemAssignment
        fields = "__all__"
        labels = {"includes_subcategories": "With all subcategories"}
        help_texts = {
            "product": "Either a product or a category.",
            "category": "A category includes its own products, and with all subcategories also theirs.",
            "includes_subcategories": "Also those that are added later.",
            **WINDOW_HELP,
        }

    def clean(self) -> Any:
        cleaned = super().clean()
        if self.instance.pk is None and not self.errors:
            self._judge_item()
        if self.cleaned_data.get("includes_subcategories") and not self._category():
            self.add_error("includes_subcategories", NO_SUBCATEGORIES)
        return cleaned

    def _category(self) -> Any:
        return self.instance.category if self.instance.pk else self.cleaned_data.get("category")

    def _judge_item(self) -> None:
        product, category = self.cleaned_data.get("product"), self.cleaned_data.get("category")
        if (product is None) == (category is None):
            self.add_error("product", "Choose either a product or a category.")
            return
        segment = self.cleaned_data["segment"]
        if ItemAssignment.objects.filter(
            tenant=segment.tenant_id, segment=segment, product=product, category=category
        ).exists():
            field = "product" if product else "category"
            self.add_error(field, f"This {field} is in the segment already.")
