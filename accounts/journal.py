"""What the journal records of tenants, customers, companies, sites and staff."""

from django.contrib.auth.models import Group
from django.utils.translation import gettext

from accounts.models import ContactAssignment, Customer, LegalEntity, Site, User
from core.journal.declarations import RecordedDocument, record
from core.journal.models import Change
from core.tenancy.models import Tenant

OF_USER = "(SELECT staff.tenant_id FROM accounts_user AS staff WHERE staff.id = it.user_id)"
NO_TENANT = "NULL::bigint"


def staff_in_words(change: Change) -> str:
    """Say that somebody logged out; empty for all other changes."""
    return gettext("logged out") if set(change.after or ()) == {"last_logout"} else ""


record(
    RecordedDocument(model=Tenant, object="tenant", external_id="it.name", tenant="it.id"),
    RecordedDocument(model=Site, object="site", external_id="it.code"),
    RecordedDocument(model=Customer, object="customer", derived=("last_login_at",), secret=("password",)),
    RecordedDocument(model=LegalEntity, object="legal-entity"),
    RecordedDocument(model=ContactAssignment, object="contact-assignment", owner="it.legal_entity_id"),
    RecordedDocument(
        model=User,
        object="staff-user",
        external_id="it.username",
        derived=("last_login",),
        secret=("password",),
        said=staff_in_words,
    ),
    RecordedDocument(
        model=User.groups.through,
        object="staff-user-group",
        external_id="NULL",
        tenant=OF_USER,
        owner="it.user_id",
    ),
    RecordedDocument(
        model=User.user_permissions.through,
        object="staff-user-permission",
        external_id="NULL",
        tenant=OF_USER,
        owner="it.user_id",
    ),
    RecordedDocument(model=Group, object="staff-group", external_id="it.name", tenant=NO_TENANT),
    RecordedDocument(
        model=Group.permissions.through,
        object="staff-group-permission",
        external_id="NULL",
        tenant=NO_TENANT,
        owner="it.group_id",
    ),
)
