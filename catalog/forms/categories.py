from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from catalog.bodies import CategoryBody
from catalog.models import Category
from core.admin import AutocompleteSelect, DocumentForm
from core.admin.faults import fault_text
from core.bodies import read_body
from core.errors import InvalidBody, Problem
from core.model_fields import foreign_key

LONGEST_NUMBERS = 30_000
FORM_FIELDS = {
    "id": "external_id",
    "parentId": "parent_category",
    "type": "type",
    "localizedName": "name",
    "localizedDescription": "description",
    "localizedSlug": "slug",
    "code": "code",
    "ecn": "numbers",
    "validity": "valid_to",
    "validity.from": "valid_from",
    "position": "position",
    "published": "is_published",
    "ownClassificationMixins": "own_classification_mixins",
    "mixins": "mixins",
    "metadata": "mixin_schemas",
}
"""The fields of the form by the members of the body that they become."""


class CategoryChoiceField(forms.ModelChoiceField):
    """The choice of a category, shown with those above it."""

    def label_from_instance(self, category: Category) -> str:
        return category.path_text


class CategoryForm(DocumentForm):
    """A category. Parent and position are no fields of the model here: `catalog.tree` writes them."""

    body: CategoryBody

    parent_category = CategoryChoiceField(
        Category.objects.none(),
        required=False,
        label=_("Parent"),
        help_text=_("Leave empty for a root category. Everything below this category moves along."),
    )
    position = forms.IntegerField(
        required=False,
        min_value=0,
        help_text=_("Siblings are sorted by position, then by name. Empty keeps it; a new one comes last."),
    )
    numbers = forms.CharField(
        required=False,
        max_length=LONGEST_NUMBERS,
        label=_("External numbers"),
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text=_("One on each line (`ecn`); no other category has them."),
    )

    class Meta:
        model = Category
        fields = "__all__"
        labels = {
            "valid_from": _("Valid from"),
            "valid_to": _("Valid to"),
            "mixin_schemas": _("Mixin schemas"),
            "own_classification_mixins": _("Classification mixins"),
        }
        help_texts = {
            "type": _("Fixed once saved. A classification category needs a code."),
            "code": _("No other category has it, whatever the case of its letters."),
            "slug": _("The name in addresses, without diacritics."),
            "is_published": _("Unpublished categories are hidden from shoppers, with everything below them."),
            "own_classification_mixins": _(
                'A list such as [{"name": "Size", "schemaUrl": "https://…"}]; '
                "products of this category and of those below it have them."
            ),
            "mixins": _("Attributes of your own, as a JSON object."),
            "mixin_schemas": _("The address of each mixin's schema, by the mixin's name."),
        }

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        if (parent := self.fields.get("parent_category")) is not None:
            assert isinstance(parent, forms.ModelChoiceField)
            self._offer_parents(parent)
        if not self.instance._state.adding:
            if not self.instance.is_root:
                self.initial.setdefault("parent_category", self.instance.parent_id)
            self.initial.setdefault(
                "numbers", "\n".join(number.value for number in self.instance.numbers.all())
            )

    def _offer_parents(self, field: forms.ModelChoiceField) -> None:
        tenant = self.tenant
        field.queryset = Category.objects.filter(tenant=tenant) if tenant else Category.objects.none()
        field.widget = AutocompleteSelect(
            foreign_key(Category, "parent"), admin.site, tenant_id=tenant.pk if tenant else None
        )
        field.widget.choices = field.choices

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        try:
            self.body = read_body(CategoryBody, self.document())
        except InvalidBody as refused:
            for problem in refused.problems:
                self.refuse(problem)
        return cleaned

    def refuse(self, problem: Problem) -> None:
        """Show beside the field which rule its value breaks; a field that Django refused is left at that."""
        path = problem.field or problem.message.partition(" ")[0]  # a rule over fields names the first one
        member, _, _ = path.partition(".")
        field = FORM_FIELDS.get(path) or FORM_FIELDS.get(member.partition("[")[0])
        if field in self.cleaned_data:
            self.add_error(field, fault_text(problem.message))
        elif field not in self.fields:
            self.add_error(None, fault_text(problem.message))

    @property
    def number_list(self) -> list[str]:
        lines = self.cleaned_data.get("numbers", "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def _get_validation_exclusions(self) -> set[str]:
        """Leave it to the operation to find a taken code: it looks under the lock and says it better."""
        return super()._get_validation_exclusions() | {"code"}

    def document(self) -> dict[str, object]:
        """Return the entries as a body of the API."""
        entered = self.cleaned_data
        parent = entered.get("parent_category")
        return {
            "id": entered.get("external_id") or self.instance.external_id,
            "parentId": parent.external_id if parent else None,
            "type": entered.get("type") or None,
            "localizedName": entered.get("name") or {},
            "localizedDescription": entered.get("description"),
            "localizedSlug": entered.get("slug"),
            "code": entered.get("code"),
            "ecn": self.number_list,
            "validity": {"from": entered.get("valid_from"), "to": entered.get("valid_to")},
            "position": entered.get("position"),
            "published": bool(entered.get("is_published")),
            "ownClassificationMixins": entered.get("own_classification_mixins"),
            "mixins": entered.get("mixins"),
            "metadata": {"mixins": entered.get("mixin_schemas"), "version": self.version_seen},
        }
