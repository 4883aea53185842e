from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.bodies.sites import HomeBase
from accounts.models import Site
from core.admin import DocumentForm
from core.admin.faults import refusal_text
from core.bodies import read_body
from core.errors import InvalidInput
from core.tenancy.identifiers import UNREACHABLE_IDS
from core.tenancy.models import Tenant
from core.text import has_visible_character, normalized
from core.timestamps import time_zone_names

LIST_HELP = _("Separated by commas.")
TWO_LETTERS_HELP = _("Two letters each, separated by commas.")


class TenantForm(DocumentForm):
    class Meta:
        model = Tenant
        fields = ("name", "title", "default_language", "languages", "currency", "is_active")
        help_texts = {
            "name": _("Part of every address of the API; fixed once saved."),
            "default_language": _("Texts without a language are in this one."),
            "languages": _("The languages of texts, such as en, de-CH, separated by commas."),
            "is_active": _("Without it all tokens of the tenant are refused."),
        }

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        default, languages = self.cleaned_data.get("default_language"), self.cleaned_data.get("languages")
        if default and languages and default not in languages:
            self.add_error(
                "languages",
                gettext("The default language {language} must be among them.").format(language=default),
            )
        return cleaned


class SiteForm(DocumentForm):
    languages = SimpleArrayField(
        forms.CharField(max_length=2), label=_("Languages"), help_text=TWO_LETTERS_HELP
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=[("", _("UTC")), *((name, name) for name in sorted(time_zone_names()))],
        help_text=_("Times of its segments are entered and shown in it."),
    )

    class Meta:
        model = Site
        fields = "__all__"
        help_texts = {
            "code": _("How segments and customers name it. Fixed once saved."),
            "is_default": _("The one that counts where no site is named. A tenant has exactly one."),
            "available_currencies": LIST_HELP,
            "ship_to_countries": TWO_LETTERS_HELP,
        }

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.initial.setdefault("time_zone", (self.instance.home_base or {}).get("timezone", ""))

    def clean(self) -> dict[str, object] | None:
        """Keep the time zone where clients read it."""
        cleaned = super().clean()
        if "time_zone" in self.changed_data and "home_base" in self.cleaned_data:
            kept = {
                name: value for name, value in self.cleaned_data["home_base"].items() if name != "timezone"
            }
            zone = self.cleaned_data.get("time_zone")
            self.cleaned_data["home_base"] = {**kept, "timezone": zone} if zone else kept
        return cleaned

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if "/" in code or code in UNREACHABLE_IDS:
            raise forms.ValidationError(_("A site code has no slash, and is not . or .."), code="invalid")
        return code

    def clean_home_base(self) -> object:
        """Accept nothing, or what clients may send; a site may have no more than a time zone."""
        home_base = self.cleaned_data["home_base"]
        if home_base.keys() - {"timezone"}:
            try:
                read_body(HomeBase, home_base)
            except InvalidInput as refused:
                raise forms.ValidationError(refusal_text(refused), code=refused.code) from None
        return home_base

    def clean_name(self) -> str:
        name: str = normalized(self.cleaned_data["name"])
        if not has_visible_character(name):
            raise forms.ValidationError(_("Enter a name that can be seen."), code="required")
        return name

    def _get_validation_exclusions(self) -> set[str]:
        # Another default site may still be stored: the operation takes that role from it.
        return super()._get_validation_exclusions() | {"is_default"}
