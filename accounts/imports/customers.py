"""Customers as rows of an import."""

from accounts.bodies import CustomerBody
from accounts.errors import CustomerErased
from accounts.models import Customer
from core.imports.merge_specs import Check, MergeSpec, Unique, plain_values
from core.sql.upserts import UpsertTarget, column_type

PARTS = {
    **{
        shown: column
        for column, shown in zip(
            CustomerBody.__struct_fields__, CustomerBody.__struct_encode_fields__, strict=True
        )
        if column in CustomerBody.columns()
    },
    "b2b.companyRegistrationId": "company_registration_id",
    "mixins": "mixins",
    "metadata.mixins": "mixin_schemas",
}
OF_TENANT = "FROM tenancy_tenant AS tenant WHERE tenant.id = %(tenant)s"
DEFAULT_PREFERENCES = {
    "preferred_language": f"(SELECT tenant.default_language {OF_TENANT})",
    "preferred_currency": f"(SELECT tenant.currency {OF_TENANT})",
    "preferred_site": (
        "(SELECT site.code FROM accounts_site AS site WHERE site.tenant_id = %(tenant)s AND site.is_default)"
    ),
}
GIVEN_COLUMNS = {"external_id", *PARTS.values()}
DETAILS = {
    field.column: column_type(field)
    for field in Customer._meta.concrete_fields
    if field.column in GIVEN_COLUMNS
}

HASHES = ("number_hash", "email_hash")
"""The keyed hashes of number and e-mail; absent in rows that may bring back a customer who was erased."""

CUSTOMERS = MergeSpec(
    name="customers",
    target=UpsertTarget.of(
        Customer,
        "tenant_id",
        "external_id",
        created_only=("password",),
        leaves_out=("id", "last_login_at", "has_initial_password"),
    ),
    given={**DETAILS, "password": "text", **dict.fromkeys(HASHES, "text")},
    values={
        **plain_values(DETAILS),
        "tenant_id": "%(tenant)s",
        "password": "coalesce(given.password, '')",
        **{
            column: f"coalesce(nullif(given.{column}, ''), {default}, '')"
            for column, default in DEFAULT_PREFERENCES.items()
        },
        "is_active": "coalesce(given.is_active, stored.is_active, TRUE)",
        "is_on_hold": "coalesce(given.is_on_hold, stored.is_on_hold, FALSE)",
        "created_at": "%(at)s",
        "modified_at": "%(at)s",
    },
    parts=PARTS,
    unique=Unique(
        column="email", code="email", noun="e-mail address", owner="customer", folded="lower({value})"
    ),
    checks=(
        Check(
            code=CustomerErased.code,
            condition=(
                "EXISTS (SELECT FROM accounts_erasure AS erasure WHERE erasure.tenant_id = %(tenant)s"
                " AND erasure.number_hash = given.number_hash AND stored.id IS NULL)"
                " OR EXISTS (SELECT FROM accounts_erasure AS erasure WHERE erasure.tenant_id = %(tenant)s"
                " AND erasure.email_hash = given.email_hash"
                " AND lower(stored.email) IS DISTINCT FROM lower(given.email))"
            ),
            message=f"'{CustomerErased.text} Leave the row out, or say --allow-erased.'",
        ),
        Check(
            code="email_removed",
            condition="stored.email IS NOT NULL AND result.email IS NULL",
            message="'The e-mail of a customer cannot be removed.'",
        ),
    ),
)
"""A customer by number. `password` is an encoded one and is kept when the customer exists."""
