"""Lists of customers and of items that are pasted or uploaded."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from core.admin import MomentField
from segments.bodies import Member
from segments.bulk_add import Line
from segments.forms.windows import check_window
from segments.operations.items import NO_SUBCATEGORIES, ItemType

MOST_BYTES = 2_000_000  # what a form may carry besides files, with room for its other fields
LONGEST_ID = 128
HEADINGS = frozenset(
    {"id", "customerid", "customer_id", "customernumber", "customer", "item", "product", "category"}
)


class BulkAddForm(forms.Form):
    """A list, one entry a line, pasted or uploaded; and the window that all its entries get."""

    required_css_class = "required"

    pasted = forms.CharField(
        label=_("Paste here"),
        required=False,
        max_length=MOST_BYTES,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "class": "vLargeTextField json", "spellcheck": "false"}),
    )
    upload = forms.FileField(
        label=_("or choose a file"),
        required=False,
        help_text=_(
            "CSV or plain text in UTF-8, up to 2 MB; the first line may be a heading. "
            "For more than that use the import commands."
        ),
    )
    valid_from = MomentField(
        label=_("Valid from"),
        required=False,
        help_text=_("For all of them. Leave empty to start now."),
    )
    valid_to = MomentField(
        label=_("Valid to"),
        is_end=True,
        required=False,
        help_text=_("For all of them. Leave empty for no end."),
    )

    lines: list[Line[Any]]
    text: str

    def clean_upload(self) -> Any:
        upload = self.cleaned_data["upload"]
        if upload is None:
            return None
        if upload.size > MOST_BYTES:
            raise ValidationError(
                _("The file is larger than 2 MB. Use the import commands for it."), code="too_long"
            )
        try:
            return upload.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValidationError(_("The file is not UTF-8 text."), code="invalid") from None

    def clean(self) -> Any:
        cleaned = super().clean()
        check_window(self)
        self.text = self.cleaned_data.get("upload") or self.cleaned_data.get("pasted") or ""
        self.lines = list(self._read(self.text)) if not self.errors else []
        if not self.errors and not self.lines:
            self.add_error("pasted", _("Paste at least one id, or choose a file."))
        return cleaned

    def _read(self, text: str) -> Iterator[Line[Any]]:
        for number, cells in _rows(text):
            if number == 1 and cells[0].lower().replace(" ", "") in HEADINGS:
                continue
            if any(len(cell) > LONGEST_ID or "\0" in cell for cell in cells):
                self.add_error("pasted", f"Line {number} has more than {LONGEST_ID} characters in an id.")
                return
            yield Line(number, self.entry(cells))

    def entry(self, cells: list[str]) -> Any:
        """Return what a line names."""
        return cells[0]


class MembersForm(BulkAddForm):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields[
            "pasted"
        ].help_text = "One customer number a line. For a B2B membership, the legal entity's id after a comma."

    def entry(self, cells: list[str]) -> Member:
        return Member(cells[0], cells[1] if len(cells) > 1 and cells[1] else None)


class ItemsForm(BulkAddForm):
    item_type = forms.ChoiceField(
        label=_("These are"),
        choices=[(ItemType.PRODUCT.value, _("Products")), (ItemType.CATEGORY.value, _("Categories"))],
        initial=ItemType.PRODUCT.value,
        widget=forms.RadioSelect,
    )
    includes_subcategories = forms.BooleanField(
        label=_("With all subcategories"), required=False, help_text=_("Also those that are added later.")
    )
    field_order = ["item_type", "includes_subcategories"]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["pasted"].help_text = "One id a line."

    def clean(self) -> Any:
        cleaned = super().clean()
        if (
            self.cleaned_data.get("includes_subcategories")
            and self.cleaned_data.get("item_type") == ItemType.PRODUCT
        ):
            self.add_error("includes_subcategories", NO_SUBCATEGORIES)
        return cleaned


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not empty, with their numbers, split at commas, semicolons or tabs."""
    for number, line in enumerate(text.splitlines(), start=1):
        separator = next((mark for mark in ("\t", ";", ",") if mark in line), ",")
        cells = [cell.strip().strip('"').strip() for cell in line.split(separator)]
        if cells[0]:
            yield number, cells
