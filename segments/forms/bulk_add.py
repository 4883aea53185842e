"""Lists of customers and of items that are pasted or uploaded."""

import io
from collections.abc import Iterable
from datetime import tzinfo
from typing import Unpack

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import MomentField
from core.admin.declared import Entered, Files, FormOptions, Text
from core.imports.resources import registered_resources
from segments.forms.entries import PastedList
from segments.forms.spreadsheets import is_spreadsheet, sheet_lines
from segments.forms.windows import check_window
from segments.operations.items import NO_SUBCATEGORIES, ItemType

MOST_BYTES = 2_000_000  # what a form may carry besides files, with room for its other fields
MOST_BYTES_OF_FILE = 20_000_000


class BulkAddForm(forms.Form):
    """A list, one entry a line, pasted or uploaded; and the window that all its entries get."""

    required_css_class = "required"
    kind = ""
    """The kind of row of the import that the list becomes."""
    what_to_paste: Text = ""

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
            "A spreadsheet (.xlsx, its first sheet), or CSV, JSON Lines or plain text in UTF-8, up to 20 MB."
            " For more than that use the import commands."
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

    def __init__(
        self,
        data: Entered | None = None,
        files: Files | None = None,
        *,
        zone: tzinfo,
        **options: Unpack[FormOptions],
    ) -> None:
        super().__init__(data, files, **options)
        self.fields["pasted"].help_text = self.what_to_paste
        self.zone = zone
        for field in self.fields.values():
            if isinstance(field, MomentField):
                field.use_zone(zone)

    def clean_upload(self) -> dict[str, object] | None:
        upload = self.cleaned_data["upload"]
        if upload is not None and upload.size > MOST_BYTES_OF_FILE:
            raise ValidationError(
                _("The file is larger than 20 MB. Use the import commands for it."), code="too_long"
            )
        return upload

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        check_window(self)
        if not self.errors and not self.cleaned_data.get("upload") and not self.text.strip():
            self.add_error("pasted", _("Paste at least one entry, or choose a file."))
        return cleaned

    @property
    def text(self) -> str:
        """The pasted text."""
        text: str = self.cleaned_data.get("pasted") or ""
        return text

    @property
    def source(self) -> str:
        """What the list is called where it is mentioned later."""
        upload = self.cleaned_data.get("upload")
        return str(upload.name) if upload else gettext("pasted list")

    def lines(self) -> PastedList:
        """Return the lines of the file, else of the text; they are read while they are used."""
        upload = self.cleaned_data.get("upload")
        texts: Iterable[str] = self.text.splitlines(keepends=True)
        if upload and is_spreadsheet(upload.name):
            texts = sheet_lines(upload.file)
        elif upload:
            upload.seek(0)
            texts = io.TextIOWrapper(upload.file, "utf-8-sig", newline="")
        columns = registered_resources()[self.kind].columns
        return PastedList(texts, zone=self.zone, columns=columns)

    def validity(self) -> dict[str, str | None]:
        """Return the window of entries that name none of their own."""
        ends = {"from": self.cleaned_data["valid_from"], "to": self.cleaned_data["valid_to"]}
        return {name: moment.isoformat() if moment else None for name, moment in ends.items()}


class MembersForm(BulkAddForm):
    kind = "segment_customers"

    what_to_paste = _(
        "Customer numbers or e-mail addresses, separated by line ends, commas, semicolons or tabs. With a"
        " first line of headings a table: customerId or email, legalEntityId, validity.from, validity.to,"
        " mixins, as the import has them."
    )


class ItemsForm(BulkAddForm):
    kind = "segment_items"

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

    what_to_paste = _(
        "Ids or codes, separated by line ends, commas, semicolons or tabs. With a first line of headings"
        " a table: id or code, type, includeSubcategories, validity.from, validity.to, mixins, as the"
        " import has them."
    )

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        if (
            self.cleaned_data.get("includes_subcategories")
            and self.cleaned_data.get("item_type") == ItemType.PRODUCT
        ):
            self.add_error("includes_subcategories", NO_SUBCATEGORIES)
        return cleaned
