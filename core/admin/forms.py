"""Form fields for what documents are made of, and the form that all of them share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson
from django import forms
from django.contrib.admin import AdminSite, widgets
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from django.db.models.fields.related import RelatedField
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin.counts import exact_count
from core.admin.declared import Text
from core.admin.faults import refusal_text
from core.admin.keys import usable_keys
from core.admin.moments import MomentField, in_words
from core.bodies import check_document_size
from core.errors import DomainError, InvalidInput, VersionConflict
from core.json_values import flat_text, is_nested_too_deeply, repeated_name
from core.tenancy.identifiers import check_client_id, generate_id
from core.tenancy.models import Tenant
from core.text import has_visible_character, normalized, plain

MAX_JSON_LENGTH = 100_000
MOST_NAMED = 20
NO_JSON = forms.JSONField.default_error_messages["invalid"]

CHANGED_IN_THE_MEANTIME = _(
    "Somebody else changed this in the meantime, so nothing was saved. Your entries are still below, beside"
    " what is stored now. Save again to keep yours, or enter what is stored."
)


def with_line_feeds(text: str) -> str:
    """Return the text with lines that end alike; browsers end those of a text area by two characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def kept_text(entered: str, stored: object, *, is_long: bool) -> str:
    """Return the stored text where the entered one is what a form makes of it, else the entered one in NFC.

    Browsers and Django take blanks off both ends, and browsers join the lines in an input of a single line.
    So blanks around a stored text stay until the text itself is changed.
    """

    def as_sent(text: str) -> str:
        lines = with_line_feeds(text)
        return (lines if is_long else lines.replace("\n", "")).strip()

    if isinstance(stored, str) and as_sent(stored) == as_sent(entered):
        return stored
    return normalized(with_line_feeds(entered))


class LongTextField(forms.CharField):
    """A text of several lines, whose ends count as one character each."""

    def to_python(self, value: object) -> str | None:
        text = super().to_python(value)
        return with_line_feeds(text) if text else text


class LocalizedInput(forms.MultiWidget):
    """One input per language."""

    template_name = "core/localized_input.html"

    def __init__(
        self, languages: Sequence[str], *, is_long: bool, attrs: dict[str, object] | None = None
    ) -> None:
        self.languages = tuple(languages)
        kind: type[forms.Widget] = forms.Textarea if is_long else forms.TextInput
        style = {"rows": 3, "class": "localized-text"} if is_long else {"class": "localized-text vTextField"}
        super().__init__({language: kind(attrs={**style, "lang": language}) for language in languages}, attrs)

    def decompress(self, value: object) -> list[str]:
        translations = value if isinstance(value, Mapping) else {}
        return [translations.get(language, "") for language in self.languages]

    def get_context(self, name: str, value: object, attrs: dict[str, object] | None) -> dict[str, object]:
        context = super().get_context(name, value, attrs)
        rows = zip(self.languages, context["widget"]["subwidgets"], strict=True)
        context["widget"]["rows"] = [{"language": language, "input": part} for language, part in rows]
        return context


class LocalizedField(forms.MultiValueField):
    """A map of language to text, edited as one input per language. Empty inputs are left out of the map."""

    def __init__(
        self,
        *,
        languages: Sequence[str],
        max_length: int,
        is_long: bool = False,
        required: bool = True,
        label: Text | None = None,
        help_text: Text = "",
    ) -> None:
        self.languages = tuple(languages)
        self.is_long = is_long
        part = LongTextField if is_long else forms.CharField
        super().__init__(
            [part(max_length=max_length, required=False) for _ in self.languages],
            require_all_fields=False,
            widget=LocalizedInput(self.languages, is_long=is_long),
            required=required,
            label=label,
            help_text=help_text,
        )

    def compress(self, data_list: Sequence[str]) -> dict[str, str]:
        pairs = zip(self.languages, data_list, strict=False)
        texts = {language: normalized(text) for language, text in pairs if text}
        if self.required and not any(map(has_visible_character, texts.values())):
            raise ValidationError(self.error_messages["required"], code="required")
        return texts

    def kept(self, entered: Mapping[str, str], stored: object) -> dict[str, str]:
        """Return the entered texts, those that were not changed as they are stored."""
        before = stored if isinstance(stored, Mapping) else {}
        texts = {
            language: kept_text(entered.get(language, ""), before.get(language), is_long=self.is_long)
            for language in self.languages
        }
        return {language: text for language, text in texts.items() if text or before.get(language) == ""}


def read_json(text: str) -> object:
    """Return what a text of JSON says, as the API reads it; raise ValidationError for what it would refuse.

    That makes doubles of larger numbers, and knows no NaN and no half of a character.
    """
    if len(text) > MAX_JSON_LENGTH:
        raise ValidationError(
            gettext("Enter no more than {number} characters.").format(number=exact_count(MAX_JSON_LENGTH)),
            code="too_long",
        )
    try:
        json.loads(text)
    except RecursionError:
        raise ValidationError(_("This is nested too deeply."), code="invalid") from None
    except json.JSONDecodeError:
        raise ValidationError(NO_JSON, code="invalid") from None
    except ValueError:
        raise ValidationError(_("A number in this has too many digits."), code="invalid") from None
    try:
        read = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValidationError(NO_JSON, code="invalid") from None
    if is_nested_too_deeply(text.encode()):
        raise ValidationError(_("This is nested too deeply."), code="invalid")
    if "\x00" in flat_text(read):
        raise ValidationError(_("The character U+0000 cannot be stored."), code="invalid")
    if (name := repeated_name(read, text.encode())) is not None:
        raise ValidationError(
            gettext("The name {name} is there twice in one object; keep one of them.").format(
                name=name[:100]
            ),
            code="invalid",
        )
    return read


def decimal_text(value: Decimal | None) -> str:
    """Return the number as people write it, without the zeros that only fill its column."""
    return "" if value is None else number_format(Decimal(plain(value)), use_l10n=True, force_grouping=True)


class PlainDecimalField(forms.DecimalField):
    """A number that is shown without the zeros that only fill its column."""

    def prepare_value(self, value: object) -> object:
        return plain(value) if isinstance(value, Decimal) else value


class JsonField(forms.JSONField):
    """JSON of one kind (an object or a list), shown indented. No text means None if nullable."""

    def __init__(self, *, kind: type = dict, is_nullable: bool = False, **arguments: object) -> None:
        self.kind = kind
        self.is_nullable = is_nullable
        super().__init__(**{**arguments, "widget": self.json_input()})

    def json_input(self) -> forms.Widget:
        return forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField json", "spellcheck": "false"})

    def to_python(self, value: object) -> Any:
        if value in self.empty_values:
            return None if self.is_nullable else self.kind()
        found = read_json(value) if isinstance(value, str) else value
        if found is None:
            return None if self.is_nullable else self.kind()
        if not isinstance(found, self.kind):
            wanted = _("Enter an object such as {}.") if self.kind is dict else _("Enter a list such as [].")
            raise ValidationError(wanted, code="invalid")
        return found

    def bound_data(self, data: object, initial: object) -> object:
        """Return what the form shows again; what Python cannot read is shown as it was entered."""
        try:
            return super().bound_data(data, initial)
        except (RecursionError, ValueError):
            return forms.fields.InvalidJSONInput(data)

    def prepare_value(self, value: object) -> Any:
        if isinstance(value, str | forms.fields.InvalidJSONInput):
            return value
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


class AutocompleteSelect(widgets.AutocompleteSelect):
    """The admin's search-as-you-type select, limited to one tenant's rows by `tenant_id`."""

    def __init__(
        self,
        field: RelatedField,
        admin_site: AdminSite,
        *,
        attrs: dict[str, object] | None = None,
        tenant_id: int | None = None,
    ) -> None:
        super().__init__(field, admin_site, attrs)
        self.tenant_id = tenant_id

    def optgroups(
        self, name: str, value: Sequence[str], attrs: dict[str, object] | None = None
    ) -> list[tuple[str | None, list[dict[str, object]], int | None]]:
        """Show what is selected, without values that can be no key: they come from addresses and forms."""
        return super().optgroups(name, usable_keys(self.field.target_field, value), attrs)

    def get_url(self) -> str:
        url = super().get_url()
        return url if self.tenant_id is None else f"{url}?{urlencode({'tenant': self.tenant_id})}"


@dataclass(frozen=True, slots=True)
class BothVersions:
    """A field that differs between what somebody entered and what somebody else has stored meanwhile."""

    label: str
    entered: str
    stored: str


def shown_value(field: forms.Field, value: object) -> str:
    """Return a value of a form field in words, as it was read or as it is stored."""
    if value in (None, "", [], {}):
        return gettext("empty")
    match value:
        case bool():
            return gettext("yes") if value else gettext("no")
        case datetime():
            zone = getattr(field, "zone", None) or timezone.get_current_timezone()
            return in_words(value, zone)
        case Mapping() if isinstance(field, LocalizedField):
            return " · ".join(f"{language}: {text}" for language, text in sorted(value.items()))
        case models.Model():
            return str(value)
        case models.QuerySet():
            return ", ".join(map(str, value[:MOST_NAMED]))
        case Mapping() | list() if isinstance(field, forms.JSONField):
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return ", ".join(str(entry) for entry in value[:MOST_NAMED])
    if isinstance(field, forms.ModelChoiceField):
        found = field.queryset.filter(pk=value).first() if field.queryset is not None else None
        return str(found or value)
    choices = dict(getattr(field, "choices", ()))
    return str(choices.get(value, value))


class DocumentForm(forms.ModelForm):
    """The form of a tenant's row.

    A new row gets the tenant that `TenantAdmin` chose. A document's form carries the version that the user
    saw: it refuses the entries when the stored one is another by now. `refusal` is the operation's refusal of
    a first attempt with these entries, shown beside `refused_field`.
    """

    tenant: Tenant | None = None
    refusal: DomainError | None = None
    refused_field: str | None = None
    both_versions: Sequence[BothVersions] = ()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for field in self.fields.values():
            field.show_hidden_initial = False
            if isinstance(field, MomentField) and (zone := self.zone()) is not None:
                field.use_zone(zone)
        if self.instance._state.adding:
            if "external_id" in self.fields:
                self._let_id_be_generated(self.fields["external_id"])
            if self.tenant is not None and hasattr(self.instance, "tenant_id"):
                self.instance.tenant = self.tenant
        elif hasattr(self.instance, "version"):
            self.fields["expected_version"] = forms.IntegerField(
                initial=self.instance.version, widget=forms.HiddenInput, required=False
            )

    def zone(self) -> tzinfo | None:
        """Return the time zone that instants are entered in; None for that of the reader's tenant."""
        return None

    def _let_id_be_generated(self, field: forms.Field) -> None:
        field.required = False
        field.initial = ""
        field.help_text = _("How other systems know it; fixed once saved. Leave empty to have one generated.")

    def clean_external_id(self) -> str:
        try:
            return check_client_id(
                self.cleaned_data["external_id"] or generate_id(),
                field="The id",
                reserved=self.instance.reserved_ids,
            )
        except InvalidInput as refused:
            raise ValidationError(refusal_text(refused), code=refused.code) from None

    @property
    def version_seen(self) -> int | None:
        """The version that the user saw; None for a new row."""
        return self.cleaned_data.get("expected_version")

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        self._keep_texts()
        self._check_sizes()
        expected = self.cleaned_data.get("expected_version")
        if expected is not None and expected != self.instance.version:
            self.add_error(None, ValidationError(CHANGED_IN_THE_MEANTIME, code="version_conflict"))
            self._keep_both_versions()
        return cleaned

    def _keep_texts(self) -> None:
        """Leave texts as stored that nobody changed: forms lose blanks around them and the ends of lines."""
        for name, field in self.fields.items():
            entered, stored = self.cleaned_data.get(name), self.get_initial_for_field(field, name)
            if isinstance(field, LocalizedField) and isinstance(entered, Mapping):
                self.cleaned_data[name] = field.kept(entered, stored)
            elif type(field) is forms.CharField and isinstance(entered, str):
                is_long = isinstance(field.widget, forms.Textarea)
                self.cleaned_data[name] = kept_text(entered, stored, is_long=is_long)

    def _check_sizes(self) -> None:
        """Refuse a part, or all parts together, that would be a larger document than one may be."""
        parts = [
            name
            for name, field in self.fields.items()
            if isinstance(field, forms.JSONField | LocalizedField) and name in self.cleaned_data
        ]
        for name in parts:
            try:
                check_document_size(self.cleaned_data[name], stored=self.initial.get(name))
            except InvalidInput as refused:
                self.add_error(name, ValidationError(refusal_text(refused), code=refused.code))
                return
        try:
            check_document_size(
                {name: self.cleaned_data[name] for name in parts},
                stored={name: self.initial.get(name) for name in parts},
            )
        except InvalidInput as refused:
            self.add_error(None, ValidationError(refusal_text(refused), code=refused.code))

    def _keep_both_versions(self) -> None:
        """Note what was entered beside what is stored now, and let the next save be of the stored version."""
        rows = [
            BothVersions(
                str(self.fields[name].label or name),
                shown_value(self.fields[name], self.cleaned_data.get(name)),
                shown_value(self.fields[name], self.get_initial_for_field(self.fields[name], name)),
            )
            for name in self.changed_data
            if name != "expected_version"
        ]
        self.both_versions = [row for row in rows if row.entered != row.stored]
        entered: Any = self.data
        data = entered.copy()
        data[self.add_prefix("expected_version")] = str(self.instance.version)
        self.data = data

    def _get_validation_exclusions(self) -> set[str]:
        # A tenant that is no field of the form is known nevertheless: unique constraints are judged by it.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded if "tenant" in self.fields else excluded - {"tenant"}

    def _update_errors(self, errors: ValidationError) -> None:
        """Show beside its field that a value is taken, which Django says of tenant and field together."""
        found = errors.error_dict.pop(NON_FIELD_ERRORS, [])
        kept = [  # of fields that the form does not show, such as the tenant
            error
            for name in [name for name in errors.error_dict if name not in self.fields]
            for error in errors.error_dict.pop(name)
        ]
        for error in found:
            names = set((error.params or {}).get("unique_check", ())) - {"tenant"}
            if len(names) == 1 and names <= self.fields.keys():
                noun = self.instance._meta.verbose_name
                self.add_error(
                    names.pop(),
                    ValidationError(
                        gettext("Another {noun} has this already.").format(noun=noun), code="unique"
                    ),
                )
            else:
                kept.append(error)
        if kept:
            errors.error_dict[NON_FIELD_ERRORS] = kept
        super()._update_errors(errors)  # type: ignore[misc]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.refusal is not None and not self.errors:
            is_stale = isinstance(self.refusal, VersionConflict)
            message = CHANGED_IN_THE_MEANTIME if is_stale else refusal_text(self.refusal)
            field = self.refused_field if self.refused_field in self.fields else None
            self.add_error(field, ValidationError(message, code=self.refusal.code))
