from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.identity.models import ApiClient
from accounts.identity.scopes import SERVICE_SCOPES
from core.admin import DocumentForm


class ApiClientForm(DocumentForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SERVICE_SCOPES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        label=_("Scopes"),
        help_text=_("What its service tokens may do. Tokens that it has already keep theirs until revoked."),
    )
    has_secret = forms.BooleanField(
        label=_("Gets a secret"),
        required=False,
        initial=True,
        help_text=_("A storefront in a browser needs none: it cannot keep one."),
    )

    class Meta:
        model = ApiClient
        fields = ("client_id", "name", "may_start_sessions", "is_active", "scopes")
        help_texts = {"client_id": _("Leave empty to have one generated. Fixed once saved.")}

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        if self.instance.pk is not None:
            del self.fields["has_secret"]
        elif "client_id" in self.fields:
            self.fields["client_id"].required = False
