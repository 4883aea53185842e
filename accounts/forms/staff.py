from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm

from accounts.models import User
from core.admin import DocumentForm


class StaffAddForm(DocumentForm, AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("username", "is_staff", "groups")


class StaffForm(DocumentForm, UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"
