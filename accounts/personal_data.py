"""What the columns of accounts and of Django hold, and how a customer is erased and exported there."""

import re

from accounts.models import ContactAssignment, Customer, Erasure, LegalEntity, Site, User
from core.json_types import JsonObject
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    exported,
    register_eraser,
    register_exporter,
)
from core.personal_data.declarations import ERASE, KEEP, declare, each
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute

CHOICE = KEEP("one of a few words")
COMPANY = KEEP("describes a company, which is no person; people are its contacts")
SHOP = KEEP("the shop's own")
STAFF = KEEP("a member of staff, no customer; deleted with the account")

declare(
    Customer,
    {
        **each(ERASE, "mixins", "mixin_schemas", "external_id", "email", "password", "title"),
        **each(ERASE, "first_name", "middle_name", "last_name", "contact_phone", "company"),
        **each(ERASE, "company_registration_id", "preferred_language", "preferred_currency"),
        **each(ERASE, "preferred_site", "photo_url", "type"),
    },
)
declare(ContactAssignment, each(ERASE, "mixins", "mixin_schemas", "external_id", "type"))
declare(
    LegalEntity,
    {
        **each(COMPANY, "mixins", "mixin_schemas", "external_id", "name", "legal_info", "account_limit"),
        **each(COMPANY, "customer_groups", "entities_addresses", "approval_group", "restrictions"),
        "type": CHOICE,
    },
)
declare(
    Site,
    {
        **each(SHOP, "mixins", "mixin_schemas", "code", "name", "default_language", "languages", "currency"),
        **each(SHOP, "available_currencies", "ship_to_countries", "home_base", "settings"),
        "tax_determination_based_on": CHOICE,
    },
)
declare(User, each(STAFF, "password", "username", "first_name", "last_name", "email"))
declare(
    Erasure,
    {
        "pseudonym": KEEP("a keyed hash, which says nothing without SECRET_KEY"),
        **each(KEEP("a keyed hash, so that imports refuse what was erased"), "number_hash", "email_hash"),
        "requested_by": KEEP("a member of staff, an API client or an account of the operating system"),
        "counts": KEEP("numbers of rows"),
    },
)
declare("auth_group", each(KEEP("a name of rights"), "name"))
declare("auth_permission", each(KEEP("a name of rights"), "name", "codename"))
declare("django_admin_log", {"object_id": KEEP("a key"), **each(ERASE, "object_repr", "change_message")})
declare("django_content_type", each(KEEP("a name in the code"), "app_label", "model"))
declare("django_migrations", each(KEEP("a name in the code"), "app", "name"))
declare(
    "django_session",
    each(KEEP("a login of staff, signed; deleted when it has expired"), "session_key", "session_data"),
)

# The models whose names in the admin's log tell a customer's.
NAMING = (
    "accounts.customer",
    "accounts.contactassignment",
    "segments.customerassignment",
    "coupons.redemption",
    "coupons.coupon",
    "identity.session",
    "identity.refreshtoken",
    "imports.importreject",
)


def of_tenants_log(trace: CustomerTrace) -> Sql:
    """Return the condition of the log's entries that are about the customer.

    They are of the tenant's staff, or of superusers of all tenants; and they are about the customer's row, or
    mention the customer where such names are.
    """
    return sql(
        "entry.user_id IN (SELECT id FROM accounts_user WHERE tenant_id = {tenant} OR tenant_id IS NULL)"
        " AND entry.content_type_id IN (SELECT id FROM django_content_type"
        " WHERE app_label || '.' || model = ANY({naming}))"
        " AND (entry.object_id = {key} AND entry.content_type_id = (SELECT id FROM django_content_type"
        " WHERE app_label = 'accounts' AND model = 'customer') OR {mentioned})",
        tenant=param(trace.tenant_id),
        naming=param(list(NAMING), "text[]"),
        key=param(str(trace.customer_id)),
        mentioned=trace.mentioned_in(Sql("entry.object_repr || ' ' || entry.change_message")),
    )


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Delete contact assignments; what the admin's log says of the customer gives way to the pseudonym."""
    contacts = execute(
        sql(
            "DELETE FROM accounts_contactassignment WHERE tenant_id = {tenant} AND customer_id = {customer}",
            tenant=param(trace.tenant_id),
            customer=param(trace.customer_id),
        )
    )
    entries = execute(
        sql(
            "UPDATE django_admin_log AS entry SET object_repr = {pseudonym}, change_message = ''"
            " WHERE {about}",
            pseudonym=param(trace.pseudonym),
            about=of_tenants_log(trace),
        )
    )
    return {"contactAssignments": contacts, "adminLogEntries": entries}


PROFILE_COLUMNS = {
    "id": "external_id",
    "contactEmail": "email",
    **{
        name: re.sub(r"([A-Z])", r"_\1", name).lower()
        for name in (
            *("title", "firstName", "middleName", "lastName", "contactPhone", "company"),
            *("companyRegistrationId", "preferredLanguage", "preferredCurrency", "preferredSite", "type"),
            *("photoUrl", "lastLoginAt", "createdAt", "modifiedAt", "mixins"),
        )
    },
    "mixinSchemas": "mixin_schemas",
    "active": "is_active",
    "onHold": "is_on_hold",
    "hasPassword": "password <> ''",
}
CONTACT_COLUMNS = {
    "id": "contact.external_id",
    "legalEntityId": "entity.external_id",
    "legalEntityName": "entity.name",
    "type": "contact.type",
    "isPrimary": "contact.is_primary",
    "mixins": "contact.mixins",
    "createdAt": "contact.created_at",
}


LOG_COLUMNS = {
    "at": "entry.action_time",
    "user": "staff.username",
    "object": "entry.object_repr",
    "change": "entry.change_message",
}


def export(trace: CustomerTrace) -> JsonObject:
    slots = {"tenant": param(trace.tenant_id), "customer": param(trace.customer_id)}
    profile = sql(
        "FROM accounts_customer WHERE tenant_id = {tenant} AND id = {customer}",
        **slots,
    )
    contacts = sql(
        "FROM accounts_contactassignment AS contact"
        " JOIN accounts_legalentity AS entity ON entity.id = contact.legal_entity_id"
        " WHERE contact.tenant_id = {tenant} AND contact.customer_id = {customer} ORDER BY contact.id",
        **slots,
    )
    entries = sql(
        "FROM django_admin_log AS entry JOIN accounts_user AS staff ON staff.id = entry.user_id"
        " WHERE {about} ORDER BY entry.id",
        about=of_tenants_log(trace),
    )
    [customer] = exported(PROFILE_COLUMNS, profile, documents=["mixins", "mixinSchemas"])
    return {
        "customer": customer,
        "contactAssignments": exported(CONTACT_COLUMNS, contacts, documents=["mixins"]),
        "adminLog": exported(LOG_COLUMNS, entries),
    }


register_eraser(Eraser("accounts", erase))
register_exporter(Exporter("accounts", export))
