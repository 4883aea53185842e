from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A member of staff who works in the admin.

    Belongs to one tenant and sees that tenant alone; a superuser without a tenant sees all of them.
    """

    tenant = models.ForeignKey(
        "accounts.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="staff"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_superuser=True)
                | models.Q(is_staff=False)
                | models.Q(tenant__isnull=False),
                name="user_staff_has_tenant",
            )
        ]
