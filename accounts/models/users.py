from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.passwords import hashing_slots


class User(AbstractUser):
    """A member of staff who works in the admin.

    Belongs to one tenant and sees only that one; a superuser without a tenant sees all of them.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="staff"
    )

    last_logout = models.DateTimeField(_("last logout"), null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_superuser=True)
                | models.Q(is_staff=False)
                | models.Q(tenant__isnull=False),
                name="user_staff_has_tenant",
            )
        ]

    # Django's login, its password forms and its commands all hash by these two.

    def set_password(self, raw_password: str | None) -> None:
        """Keep the password's hash, not saved yet. Raises Overloaded when no hashing slot is free."""
        with hashing_slots.take():
            super().set_password(raw_password)

    def check_password(self, raw_password: str) -> bool:
        """Say whether this is the user's password. Raises Overloaded when no hashing slot is free."""
        with hashing_slots.take():
            return super().check_password(raw_password)
