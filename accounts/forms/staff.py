from typing import Any

from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm

from accounts.models import User
from core.admin import DocumentForm


class BelongingForm(DocumentForm):
    """Keeps the rule that staff belong to a tenant."""

    def clean(self) -> Any:
        cleaned = super().clean()
        tenant = self.cleaned_data.get("tenant") or self.instance.tenant
        is_staff, is_superuser = self.cleaned_data.get("is_staff"), self.cleaned_data.get("is_superuser")
        if is_staff and not is_superuser and tenant is None:
            field = "tenant" if "tenant" in self.fields else "is_staff"
            self.add_error(field, "Staff belong to a tenant, unless they are superusers.")
        return cleaned


class StaffAddForm(BelongingForm, AdminUserCreationForm):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.initial.setdefault("is_staff", True)

    class Meta:
        model = User
        fields = ("username", "is_staff", "groups")


class StaffForm(BelongingForm, UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"
