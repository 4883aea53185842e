from datetime import tzinfo

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from segments.forms.segments import WindowForm
from segments.models import CustomerAssignment, ItemAssignment
from segments.operations.items import NO_SUBCATEGORIES

WINDOW_HELP = {
    "valid_from": _("Leave empty to count as soon as the segment does."),
    "valid_to": _("Leave empty to count as long as the segment does."),
}


class AssignmentForm(WindowForm):
    """What members and items share: their windows are in the time zone of the segment's site."""

    def zone(self) -> tzinfo | None:
        return self.instance.segment.site.time_zone if self.instance.segment_id else None


class CustomerAssignmentForm(AssignmentForm):
    class Meta:
        model = CustomerAssignment
        fields = "__all__"
        help_texts = {
            "customer": _("Search by number, or by the beginning of the e-mail or a name."),
            "legal_entity": _(
                "For a B2B membership: it counts only while the customer acts for this company. "
                "Leave empty for a B2C membership, which always counts."
            ),
            **WINDOW_HELP,
        }

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        segment, customer = self.cleaned_data.get("segment"), self.cleaned_data.get("customer")
        if segment and customer:
            entity = self.cleaned_data.get("legal_entity")
            if CustomerAssignment.objects.filter(
                tenant=segment.tenant_id, segment=segment, customer=customer, legal_entity=entity
            ).exists():
                text = (
                    gettext("The customer, acting for {company}, is in this segment already.")
                    if entity
                    else gettext("The customer is in this segment already.")
                )
                self.add_error("customer", text.format(company=entity.name if entity else ""))
        return cleaned


class ItemAssignmentForm(AssignmentForm):
    class Meta:
        model = ItemAssignment
        fields = "__all__"
        labels = {"includes_subcategories": _("With all subcategories")}
        help_texts = {
            "product": _("Either a product or a category."),
            "category": _("A category includes its own products, and with all subcategories also theirs."),
            "includes_subcategories": _("Also those that are added later."),
            **WINDOW_HELP,
        }

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        if self.instance.pk is None and not self.errors:
            self._judge_item()
        if self.cleaned_data.get("includes_subcategories") and not self._category():
            self.add_error("includes_subcategories", NO_SUBCATEGORIES)
        return cleaned

    def _category(self) -> object:
        return self.instance.category if self.instance.pk else self.cleaned_data.get("category")

    def _judge_item(self) -> None:
        product, category = self.cleaned_data.get("product"), self.cleaned_data.get("category")
        if (product is None) == (category is None):
            self.add_error("product", _("Choose either a product or a category."))
            return
        segment = self.cleaned_data["segment"]
        if ItemAssignment.objects.filter(
            tenant=segment.tenant_id, segment=segment, product=product, category=category
        ).exists():
            if product:
                self.add_error("product", _("This product is in the segment already."))
            else:
                self.add_error("category", _("This category is in the segment already."))
