from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.bodies import DETAILS, ProductBody
from catalog.models import CategoryAssignment, Product
from core.admin import DocumentForm
from core.admin.faults import fault_text
from core.admin.forms import LocalizedInput
from core.admin.value_rows import ObjectsField
from core.bodies import read_body
from core.errors import InvalidBody

FORM_FIELDS = {
    "id": "external_id",
    "code": "code",
    "name": "name",
    "description": "description",
    "published": "is_published",
    "template": "template",
    "taxClasses": "tax_classes",
    "relatedItems": "related_items",
    "vendor": "vendor",
    "brandId": "brand_id",
    "labelIds": "label_ids",
    "weightDependent": "weight_dependent",
    "mixins": "mixins",
    "metadata": "mixin_schemas",
}
"""The fields of the form by the members of the body that they become."""

DETAIL_FIELDS = tuple(FORM_FIELDS[name] for name in DETAILS)
LONGEST_LINES = 10_000
LONGEST_MEMBER = 500


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})
        super().__init__(required=False, max_length=LONGEST_LINES, widget=widget, **options)

    def prepare_value(self, value: object) -> object:
        return "\n".join(value) if isinstance(value, Sequence) and not isinstance(value, str) else value

    def clean(self, value: object) -> Any:
        lines = (line.strip() for line in super().clean(value).splitlines())
        return [line for line in lines if line]


class PairsField(LinesField):
    """A map of text to text, one `name = value` a line."""

    def prepare_value(self, value: object) -> object:
        if isinstance(value, Mapping):
            return "\n".join(f"{name} = {text}" for name, text in value.items())
        return value

    def clean(self, value: object) -> object:
        pairs = {}
        for line in super().clean(value):
            name, separator, text = (part.strip() for part in line.partition("="))
            if not (name and separator and text):
                raise ValidationError(
                    gettext("Write each line as name = value; this one is not: {line}").format(
                        line=line[:100]
                    )
                )
            if name in pairs:
                raise ValidationError(gettext("{name} is there twice.").format(name=name))
            pairs[name] = text
        return pairs


class MembersInput(LocalizedInput):
    """One input for each of some members of an object."""

    def __init__(self, names: Sequence[str]) -> None:
        self.languages = tuple(names)
        forms.MultiWidget.__init__(
            self, {name: forms.TextInput(attrs={"class": "vTextField"}) for name in names}
        )


class MembersField(forms.MultiValueField):
    """Some members of an object, edited as one input each; it comes to their texts by name."""

    def __init__(self, *names: str, **options: Any) -> None:
        self.names = names
        super().__init__(
            [forms.CharField(max_length=LONGEST_MEMBER, required=False) for _ in names],
            require_all_fields=False,
            required=False,
            widget=MembersInput(names),
            **options,
        )

    def compress(self, data_list: Sequence[str]) -> dict[str, str]:
        return dict(zip(self.names, data_list or [""] * len(self.names), strict=True))


def with_members(stored: object, entered: Mapping[str, str]) -> dict[str, object]:
    """Return the stored object with the members as entered; those that were not changed keep their type."""
    whole: dict[str, object] = dict(stored) if isinstance(stored, Mapping) else {}
    for name, text in entered.items():
        if not text:
            whole.pop(name, None)
        elif str(whole.get(name)) != text:
            whole[name] = int(text) if name == "version" and text.isdecimal() else text
    return whole


class ProductForm(DocumentForm):
    """A product. Attributes that are stored as one JSON object have a field each."""

    code = forms.CharField(max_length=200, help_text=_("No other product has it."))
    brand_id = forms.CharField(
        required=False, max_length=500, label=_("Brand"), help_text=_("The brand's id.")
    )
    label_ids = LinesField(label=_("Labels"), help_text=_("The ids of its labels, one a line."))
    tax_classes = PairsField(
        label=_("Tax classes"),
        help_text=_("One a line: the country and its tax class, such as DE = STANDARD."),
    )
    weight_dependent = forms.NullBooleanField(required=False, label=_("Sold by weight"))
    vendor = MembersField(
        "id",
        "name",
        label=_("Vendor"),
        help_text=_("Other attributes that were sent to the API are kept."),
    )
    template = MembersField(
        "id",
        "version",
        label=_("Template"),
        help_text=_("Other attributes that were sent to the API are kept."),
    )
    related_items = ObjectsField(
        {"refId": _("Product id"), "type": _("Type")},
        label=_("Related products"),
        help_text=_("Other attributes that were sent to the API are kept."),
    )
    mixin_schemas = PairsField(
        label=_("Mixin schemas"), help_text=_("One a line: the mixin and the address of its schema.")
    )

    body: ProductBody

    class Meta:
        model = Product
        fields = "__all__"
        help_texts = {
            "is_published": _("Unpublished products are hidden from shoppers."),
            "mixins": _(
                "Attributes of your own. A value that you empty is removed; a dot in the name of a new"
                " attribute leads into a group, such as size.unit."
            ),
        }

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        for name, value in (self.instance.details or {}).items():
            if name in DETAILS:
                self.initial.setdefault(FORM_FIELDS[name], value)

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        try:
            self.body = read_body(ProductBody, self.document())
        except InvalidBody as refused:
            for problem in refused.problems:
                field = FORM_FIELDS.get(problem.field.partition(".")[0].partition("[")[0])
                if field in self.cleaned_data:
                    self.add_error(field, fault_text(problem.message))
                elif field not in self.fields:
                    self.add_error(None, fault_text(problem.message))
        else:
            self.instance.details = self.body.details
        return cleaned

    def clean_mixins(self) -> object:
        """Nothing entered leaves an empty object that is stored, and means none otherwise."""
        entered = self.cleaned_data["mixins"]
        return {} if entered is None and self.instance.mixins == {} else entered

    def clean_mixin_schemas(self) -> object:
        """Nothing entered leaves an empty map that is stored, and means no map otherwise."""
        return self.cleaned_data["mixin_schemas"] or ({} if self.instance.mixin_schemas == {} else None)

    def document(self) -> dict[str, object]:
        """Return the entries as a body of the API; what is empty is absent."""
        entered = self.cleaned_data
        others = {name: entered.get(field) for name, field in FORM_FIELDS.items() if name in DETAILS}
        stored = self.instance.details or {}
        for name in ("vendor", "template"):
            others[name] = with_members(stored.get(name), entered.get(name) or {})
        return {
            **{name: value for name, value in others.items() if value not in (None, "", [], {})},
            "id": entered.get("external_id") or self.instance.external_id,
            "code": entered.get("code") or "",
            "name": entered.get("name") or {},
            "description": entered.get("description"),
            "published": bool(entered.get("is_published")),
            "mixins": entered.get("mixins"),
            "metadata": {"mixins": entered.get("mixin_schemas"), "version": self.version_seen},
        }


class CategoryAssignmentForm(DocumentForm):
    """A product in a category."""

    class Meta:
        model = CategoryAssignment
        fields = ("category", "product")

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        category, product = self.cleaned_data.get("category"), self.cleaned_data.get("product")
        if category and product:
            known = CategoryAssignment.objects.filter(
                tenant=category.tenant_id, category=category, product=product
            )
            if known.exists():
                self.add_error("product", _("The product is in this category already."))
        return cleaned
