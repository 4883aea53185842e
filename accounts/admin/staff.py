from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import ManyToManyField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from accounts.forms.staff import StaffAddForm, StaffForm, StaffLoginForm, StaffPasswordForm
from accounts.models import User
from core.admin import PlatformAdmin, TenantAdmin
from core.admin.declared import Fieldsets
from core.admin.faults import refusal_text
from core.admin.tenants import staff_of
from core.errors import Unavailable
from core.unavailability import contention_as_refusal

admin.site.login_form = StaffLoginForm


@admin.register(User)
class StaffAdmin(TenantAdmin, UserAdmin):
    """Members of staff. Nobody gives rights that they lack, or changes somebody who may do more than they."""

    form = StaffForm
    change_password_form = StaffPasswordForm
    add_form = StaffAddForm
    chooses_tenant = False
    explanation = _("Who works in this admin, for which tenant, and what they may do.")
    list_display = ("username", "first_name", "last_name", "email", "is_active", "last_login")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("username", "first_name", "last_name", "email")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")

    def get_fieldsets(self, request: HttpRequest, obj: object = None) -> Fieldsets:
        user = staff_of(request)
        rights = ["is_superuser"] if user.is_superuser else []
        tenant = ["tenant"] if user.tenant_id is None else []
        if not isinstance(obj, User):
            names = (
                "username",
                "usable_password",
                "password1",
                "password2",
                *tenant,
                "is_staff",
                *rights,
                "groups",
            )
            return [(None, {"fields": names})]
        password = ("password",) if self.has_change_permission(request, obj) else ()  # it links to its change
        return [
            (None, {"fields": ("username", *password, *tenant)}),
            (_("Person"), {"fields": ("first_name", "last_name", "email")}),
            (_("Rights"), {"fields": ("is_active", "is_staff", *rights, "groups")}),
            (_("Record"), {"fields": ("last_login", "date_joined"), "classes": ("collapse",)}),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        user = request.user
        staff = super().get_queryset(request)
        return staff if user.is_superuser else staff.filter(is_superuser=False)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_manage(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_manage(request, obj)

    def _may_manage(self, request: HttpRequest, obj: User | None) -> bool:
        user = request.user
        return user.is_superuser or obj is None or obj.get_all_permissions() <= user.get_all_permissions()

    def formfield_for_manytomany(
        self, db_field: ManyToManyField, request: HttpRequest, **kwargs: object
    ) -> forms.ModelMultipleChoiceField | None:
        if db_field.name == "groups":
            kwargs["queryset"] = self._groups_to_give(request)
            kwargs["widget"] = forms.CheckboxSelectMultiple()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def _groups_to_give(self, request: HttpRequest) -> QuerySet[Group]:
        """Return the groups whose rights the user has too."""
        user = request.user
        if user.is_superuser:
            return Group.objects.all()
        held = user.get_all_permissions()
        groups = Group.objects.prefetch_related("permissions__content_type")
        return Group.objects.filter(
            pk__in=[
                group.pk
                for group in groups
                if {f"{right.content_type.app_label}.{right.codename}" for right in group.permissions.all()}
                <= held
            ]
        )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        try:
            with contention_as_refusal():
                return super().user_change_password(request, id, form_url)
        except Unavailable as busy:
            self.message_user(request, refusal_text(busy), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        queryset.delete()  # few rows, and their log entries go with them


admin.site.unregister(Group)


@admin.register(Group)
class StaffGroupAdmin(PlatformAdmin, GroupAdmin):
    form = forms.ModelForm
    explanation = _("Rights that several members of staff have in common. Groups serve all tenants.")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        queryset.delete()
