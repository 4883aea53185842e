from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin

from catalog.errors import InvalidCategory
from catalog.models import Category
from catalog.models.categories import HIDDEN_ROOT_ID
from catalog.operations.categories import CategoryDraft
from catalog.operations.values import check_numbers, check_own_mixins, check_slugs
from core.admin import AutocompleteSelect, DocumentForm

LONGEST_NUMBERS = 30_000


class CategoryForm(DocumentForm):
    """A category. Its place (parent and position) is no field of the model here: the tree decides it."""

    parent_category = forms.ModelChoiceField(
        Category.objects.none(),
        required=False,
        label="Parent",
        help_text="Empty: a root category. Everything below this category moves along.",
    )
    position = forms.IntegerField(
        required=False,
        min_value=0,
        help_text="Siblings stand by position, then by name. Empty: keeps its place, or last when it is new.",
    )
    numbers = forms.CharField(
        required=False,
        max_length=LONGEST_NUMBERS,
        label="External numbers",
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="One a line (`ecn`); no other category has them.",
    )

    class Meta:
        model = Category
        fields = "__all__"
        labels = {
            "valid_from": "Valid from",
            "valid_to": "Valid to",
            "mixin_schemas": "Mixin schemas",
            "own_classification_mixins": "Classification mixins",
        }
        help_texts = {
            "type": "Fixed once saved. A classification category needs a code.",
            "code": "No other category has it, whatever the case of its letters.",
            "slug": "The name in addresses, without diacritics.",
            "is_published": "Unpublished categories are hidden from shoppers, with everything below them.",
            "own_classification_mixins": 'A list such as [{"name": "Size", "schemaUrl": "https://…"}]; '
            "products of this category and of those below it have them.",
            "mixins": "Attributes of your own, as a JSON object.",
            "mixin_schemas": "The address of each mixin's schema, by the mixin's name.",
        }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if (parent := self.fields.get("parent_category")) is not None:
            self._offer_parents(parent)
        if not self.instance._state.adding:
            above = self.instance.parent
            if above.external_id != HIDDEN_ROOT_ID:
                self.initial.setdefault("parent_category", above.pk)
            self.initial.setdefault(
                "numbers", "\n".join(number.value for number in self.instance.numbers.all())
            )

    def _offer_parents(self, field: Any) -> None:
        tenant = self.tenant
        field.queryset = Category.objects.filter(tenant=tenant) if tenant else Category.objects.none()
        field.widget = AutocompleteSelect(
            Category._meta.get_field("parent"), admin.site, tenant_id=tenant.pk if tenant else None
        )
        field.widget.choices = field.choices

    def clean(self) -> Any:
        cleaned = super().clean()
        starts_at, ends_at = self.cleaned_data.get("valid_from"), self.cleaned_data.get("valid_to")
        if starts_at and ends_at and starts_at > ends_at:
            self.add_error("valid_to", "The end must not be earlier than the start.")
        self._judge("slug", lambda: check_slugs(self.cleaned_data["slug"]))
        self._judge("numbers", lambda: check_numbers(self.number_list))
        mixins = "own_classification_mixins"
        self._judge(mixins, lambda: check_own_mixins(self.cleaned_data[mixins]))
        return cleaned

    def _judge(self, field: str, check: Callable[[], object]) -> None:
        """Show beside the field which rule its value breaks."""
        if field in self.cleaned_data:
            try:
                check()
            except InvalidCategory as refused:
                self.add_error(field, refused.message)

    @property
    def number_list(self) -> list[str]:
        lines = self.cleaned_data.get("numbers", "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def _get_validation_exclusions(self) -> set[str]:
        """Leave it to the operation to find a taken code: it looks under the lock and says it better."""
        return super()._get_validation_exclusions() | {"code"}

    def draft(self) -> CategoryDraft:
        """Return what the category is to become, out of valid entries."""
        parent, category = self.cleaned_data["parent_category"], self.instance
        return CategoryDraft(
            name=category.name,
            parent_id=parent.external_id if parent else None,
            description=category.description,
            slug=category.slug,
            position=self.cleaned_data["position"],
            code=category.code,
            numbers=self.number_list,
            valid_from=category.valid_from,
            valid_to=category.valid_to,
            is_published=category.is_published,
            type=category.type,
            own_classification_mixins=category.own_classification_mixins,
            mixins=category.mixins,
            mixin_schemas=category.mixin_schemas,
        )
