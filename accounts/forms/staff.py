from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    SetUnusablePasswordMixin,
    UserChangeForm,
)
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.identity.operations.attempts import counted_login
from accounts.models import User
from core.addresses import client_address
from core.admin import DocumentForm
from core.admin.faults import refusal_text
from core.errors import Overloaded, TooManyAttempts


class StaffLoginForm(AdminAuthenticationForm):
    """The login of the admin, whose failures are limited as those of customers' logins are."""

    def clean(self) -> dict[str, object]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not username or not password:
            return super().clean()
        address = client_address(self.request) if self.request else ""
        try:
            with counted_login(realm="staff", account=username, address=address, at=timezone.now()):
                return super().clean()
        except (TooManyAttempts, Overloaded) as refused:
            raise ValidationError(refusal_text(refused), code=refused.code) from None


class BelongingForm(DocumentForm):
    """Keeps the rule that staff belong to a tenant."""

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        tenant = self.cleaned_data.get("tenant") or self.instance.tenant
        is_staff, is_superuser = self.cleaned_data.get("is_staff"), self.cleaned_data.get("is_superuser")
        if is_staff and not is_superuser and tenant is None:
            field = "tenant" if "tenant" in self.fields else "is_staff"
            self.add_error(field, _("Staff belong to a tenant, unless they are superusers."))
        return cleaned


class StaffAddForm(BelongingForm, AdminUserCreationForm):
    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.initial.setdefault("is_staff", True)

    class Meta:
        model = User
        fields = ("username", "is_staff", "groups")


class StaffForm(BelongingForm, UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


class StaffPasswordForm(AdminPasswordChangeForm):
    """Django's form, whose hint is in the reader's language: Django's own is fixed when it is imported."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        if "usable_password" in self.fields:
            self.fields["usable_password"].help_text = format_html(
                '{}<ul id="id_unusable_warning" class="messagelist"><li class="warning">{}</li></ul>',
                SetUnusablePasswordMixin.usable_password_help_text,
                gettext("If disabled, the current password for this user will be lost."),
            )
