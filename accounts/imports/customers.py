"""Customers as rows of an import."""

from core.imports.merge_specs import Check, TableKind, earlier_holder, plain_values
from core.sql.upserts import UpsertTarget

DETAILS = {
    "external_id": "text",
    "email": "text",
    "title": "text",
    "first_name": "text",
    "middle_name": "text",
    "last_name": "text",
    "contact_phone": "text",
    "company": "text",
    "company_registration_id": "text",
    "preferred_language": "text",
    "preferred_currency": "text",
    "preferred_site": "text",
    "type": "text",
    "photo_url": "text",
    "is_active": "boolean",
    "is_on_hold": "boolean",
    "mixins": "jsonb",
    "mixin_schemas": "jsonb",
}

CUSTOMERS = TableKind(
    name="customers",
    target=UpsertTarget(
        table="accounts_customer",
        key=("tenant_id", "external_id"),
        columns={
            "tenant_id": "bigint",
            **DETAILS,
            "password": "text",
            "created_at": "timestamptz",
            "modified_at": "timestamptz",
        },
        created_only=frozenset({"created_at", "password"}),
    ),
    given={**DETAILS, "password": "text"},
    values={
        **plain_values(DETAILS),
        "tenant_id": "%(tenant)s",
        "password": "coalesce(given.password, '')",
        "is_active": "coalesce(given.is_active, stored.is_active, TRUE)",
        "is_on_hold": "coalesce(given.is_on_hold, stored.is_on_hold, FALSE)",
        "created_at": "%(at)s",
        "modified_at": "%(at)s",
    },
    parts={
        "contactEmail": "email",
        "title": "title",
        "firstName": "first_name",
        "middleName": "middle_name",
        "lastName": "last_name",
        "contactPhone": "contact_phone",
        "company": "company",
        "b2b.companyRegistrationId": "company_registration_id",
        "preferredLanguage": "preferred_language",
        "preferredCurrency": "preferred_currency",
        "preferredSite": "preferred_site",
        "type": "type",
        "photoUrl": "photo_url",
        "active": "is_active",
        "onHold": "is_on_hold",
        "mixins": "mixins",
        "metadata.mixins": "mixin_schemas",
    },
    joins=(
        "LEFT JOIN accounts_customer AS holder ON holder.tenant_id = %(tenant)s"
        " AND lower(holder.email) = lower(given.email) AND holder.external_id <> given.external_id"
        f" {earlier_holder('lower(email)', 'lower(given.email)')}"
    ),
    checks=(
        Check(
            code="email_removed",
            condition="stored.email IS NOT NULL AND result.email IS NULL",
            message="'The e-mail of a customer cannot be removed.'",
        ),
        Check(
            code="email_taken",
            condition="holder.id IS NOT NULL",
            message="'The e-mail address ' || given.email || ' belongs to another customer.'",
        ),
        Check(
            code="email_repeated",
            condition="earlier.line IS NOT NULL",
            message="'An earlier line gives the e-mail address ' || given.email || ' to another customer.'",
        ),
    ),
)
"""A customer by number. `password` is an encoded one and is kept when the customer exists."""
