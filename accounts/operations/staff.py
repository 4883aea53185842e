"""Members of staff, who work in the admin."""

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from core.errors import AlreadyExists, InvalidInput, NotFound
from core.tenancy.models import tenant_called


@transaction.atomic
def create_staff_user(*, tenant: str, name: str, password: str, groups: list[str], email: str = "") -> User:
    """Make a member of staff of the tenant who has the rights of the groups.

    Raises NotFound for a tenant or a group that does not exist, AlreadyExists for a name that is taken, and
    InvalidInput for a password that is too weak or a name that cannot be one.
    """
    stored = tenant_called(tenant)
    found = {group.name: group for group in Group.objects.all()}
    for group in groups:
        if group not in found:
            raise NotFound(f"There is no group {group}. There are: {', '.join(sorted(found)) or 'none'}.")
    if User.objects.filter(username=name).exists():
        raise AlreadyExists(f"There is a user {name} already.")
    user = User(username=name, email=email, tenant=stored, is_staff=True)
    try:
        validate_password(password, user)
        user.set_password(password)
        user.full_clean()
    except ValidationError as refused:
        raise InvalidInput(" ".join(refused.messages)) from None
    user.save()
    user.groups.set([found[group] for group in groups])
    return user
