from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField

from accounts.bodies import HomeBase
from accounts.models import Site
from core.admin import DocumentForm
from core.bodies import read_body
from core.errors import InvalidInput
from core.tenancy.identifiers import UNREACHABLE_IDS
from core.tenancy.models import Tenant
from core.text import has_visible_character, normalized

LIST_HELP = "Separated by commas."


class TenantForm(DocumentForm):
    class Meta:
        model = Tenant
        fields = ("name", "title", "default_language", "languages", "currency", "is_active")
        help_texts = {
            "name": "Part of every address of the API; fixed once saved.",
            "default_language": "Texts without a language are in this one.",
            "languages": f"The languages of texts, such as en, de-CH. {LIST_HELP}",
            "is_active": "Without it all tokens of the tenant are refused.",
        }

    def clean(self) -> Any:
        cleaned = super().clean()
        default, languages = self.cleaned_data.get("default_language"), self.cleaned_data.get("languages")
        if default and languages and default not in languages:
            self.add_error("languages", f"The default language {default} must be among them.")
        return cleaned


class SiteForm(DocumentForm):
    languages = SimpleArrayField(forms.CharField(max_length=2), help_text=f"Two letters each. {LIST_HELP}")

    class Meta:
        model = Site
        fields = "__all__"
        help_texts = {
            "code": "How segments and customers name it. Fixed once saved.",
            "is_default": "The one that counts where no site is named. A tenant has exactly one.",
            "available_currencies": LIST_HELP,
            "ship_to_countries": f"Two letters each. {LIST_HELP}",
        }

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if "/" in code or code in UNREACHABLE_IDS:
            raise forms.ValidationError("A site code has no slash, and is not . or ..", code="invalid")
        return code

    def clean_home_base(self) -> Any:
        """Accept nothing, or what clients may send."""
        home_base = self.cleaned_data["home_base"]
        if home_base:
            try:
                read_body(HomeBase, home_base)
            except InvalidInput as refused:
                raise forms.ValidationError(refused.message, code=refused.code) from None
        return home_base

    def clean_name(self) -> str:
        name: str = normalized(self.cleaned_data["name"])
        if not has_visible_character(name):
            raise forms.ValidationError("Enter a name that can be seen.", code="required")
        return name

    def _get_validation_exclusions(self) -> set[str]:
        # Another default site may still be stored: the operation takes that role from it.
        return super()._get_validation_exclusions() | {"is_default"}
