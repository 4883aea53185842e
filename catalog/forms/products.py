from typing import Any

from django import forms

from catalog.models import CategoryAssignment, Product
from catalog.operations.products import ProductDraft
from core.admin import DocumentForm


class ProductForm(DocumentForm):
    """A product."""

    code = forms.CharField(max_length=200, help_text="No other product has it.")

    class Meta:
        model = Product
        fields = "__all__"
        labels = {"mixin_schemas": "Mixin schemas", "details": "Other attributes"}
        help_texts = {
            "is_published": "Unpublished products are hidden from shoppers.",
            "mixins": "Attributes of your own, as a JSON object.",
            "mixin_schemas": "The address of each mixin's schema, by the mixin's name.",
        }

    def draft(self) -> ProductDraft:
        """Return what the product is to become, out of valid entries."""
        product = self.instance
        return ProductDraft(
            external_id=product.external_id,
            code=product.code,
            name=product.name,
            description=product.description,
            is_published=product.is_published,
            details=product.details,
            mixins=product.mixins,
            mixin_schemas=product.mixin_schemas,
            expected_version=self.version_seen,
        )


class CategoryAssignmentForm(DocumentForm):
    """A product in a category."""

    class Meta:
        model = CategoryAssignment
        fields = ("category", "product")

    def clean(self) -> Any:
        cleaned = super().clean()
        category, product = self.cleaned_data.get("category"), self.cleaned_data.get("product")
        if category and product:
            known = CategoryAssignment.objects.filter(
                tenant=category.tenant_id, category=category, product=product
            )
            if known.exists():
                self.add_error("product", "The product stands in this category already.")
        return cleaned
