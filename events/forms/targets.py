from typing import Any

from django import forms
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from core.admin import MomentField
from core.admin.forms import DocumentForm
from events.bodies import LONGEST_SECRET
from events.event_types import EVENT_TYPES, normalized


def event_type_choices(*, empty: object = None, stored: str = "") -> list[tuple[str, object]]:
    """Return all types of events with their titles in the reader's language, and the stored one."""
    language = (get_language() or "en").partition("-")[0]
    choices: list[tuple[str, Any]] = [
        (name, f"{one.title.get(language, one.title['en'])} ({name})") for name, one in EVENT_TYPES.items()
    ]
    if stored and stored not in EVENT_TYPES:
        choices.append((stored, stored))
    return choices if empty is None else [("", empty), *choices]


class TargetForm(DocumentForm):
    event_type = forms.ChoiceField(
        label=_("Event type"),
        required=False,
        help_text=_("The default target gets the events of all subscribed types without a target."),
    )
    new_secret = forms.CharField(
        label=_("New secret"),
        required=False,
        max_length=LONGEST_SECRET,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Signs what is sent. Leave empty to keep the present one, which cannot be read."),
    )

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        if "event_type" in self.fields:
            field: Any = self.fields["event_type"]
            stored = self.instance.event_type
            if normalized(stored) in EVENT_TYPES:
                self.initial["event_type"] = normalized(stored)
                stored = ""
            field.choices = event_type_choices(empty=_("All types (default target)"), stored=stored)
        if "excluded_fields" in self.fields:
            self.fields["excluded_fields"].help_text = _(
                "What the payloads are sent without, separated by commas. Leave empty for what the"
                " subscriptions leave out."
            )

    def clean_excluded_fields(self) -> list[str] | None:
        """Take no fields for those of the subscriptions, unless nothing is stored to be left out."""
        entered: list[str] = self.cleaned_data["excluded_fields"] or []
        return entered or (None if self.instance.excluded_fields else self.instance.excluded_fields)


class SubscriptionForm(DocumentForm):
    event_type = forms.ChoiceField(label=_("Event type"))

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        if "event_type" in self.fields:
            field: Any = self.fields["event_type"]
            field.choices = event_type_choices(stored=self.instance.event_type)


class ReplayForm(forms.Form):
    """Which events a target is sent once more."""

    required_css_class = "required"
    since = MomentField(label=_("Since"), help_text=_("Events that happened at this instant or later."))
    until = MomentField(label=_("Until"), required=False, is_end=True, help_text=_("Leave empty for now."))
    only_failed = forms.BooleanField(
        label=_("Only failed ones"),
        required=False,
        help_text=_("Only deliveries that were given up after three days, or refused for good."),
    )
