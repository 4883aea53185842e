"""Files of customers. A row is a body of the API; files have no passwords, and keep them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from accounts.bodies.customers import CustomerBody
from accounts.errors import CustomerErased
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import Customer
from accounts.operations.customers import delete_customers
from accounts.operations.erasure import email_hash, number_hash
from accounts.representations import CUSTOMERS as ANSWER
from core.bodies import read_body
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.handovers import UniqueValues, texts_of
from core.imports.merge_specs import Check, MergeSpec, Unique, plain_values
from core.imports.resources import Export, ImportResource, document_of_files
from core.imports.shadows import Rows
from core.imports.stages import nullable_json
from core.imports.writers import Removal, TableWriter, all_at_once, one_after_another
from core.representation.fields import Nested, Text
from core.sql.upserts import UpsertTarget, column_type
from core.tenancy.callers import TenantRecord
from core.tenancy.identifiers import check_client_id

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


def read_customer(
    body: Mapping[str, object], tenant: TenantRecord, *, allows_erased: bool = False
) -> tuple[object, ...]:
    """Return the row as CUSTOMERS takes it, behind the version that it expects."""
    change = read_body(CustomerBody, body).change()
    number = check_client_id(body.get("id"), field="id", reserved=Customer.reserved_ids)
    values = {
        **change.values,
        "external_id": number,
        "mixins": nullable_json(change.values["mixins"]),
        "mixin_schemas": nullable_json(change.values["mixin_schemas"]),
    }
    hashes: tuple[str | None, str | None] = (None, None)
    if not allows_erased:
        email = values.get("email")
        hashes = (number_hash(tenant.id, number), email_hash(tenant.id, str(email)) if email else None)
    return (change.expected_version, *(values.get(name) for name in DETAILS), None, *hashes)


EMAILS = UniqueValues(
    values=lambda body: texts_of(body.get("contactEmail")),
    holders="SELECT email AS value, external_id AS id FROM accounts_customer WHERE tenant_id = %(tenant)s",
)

WRITER = TableWriter(
    table=CUSTOMERS,
    read=one_after_another(read_customer),
    remove=Removal(
        all_at_once(lambda tenant, numbers: delete_customers(tenant_id=tenant.id, external_ids=numbers)),
        tables={"accounts_customer": Rows.OF_TENANT},
    ),
    changed=announce_revocation,
)
CUSTOMER_FILES = ImportResource(
    name="customers",
    noun="customers",
    unique=EMAILS,
    columns=(
        Column("id", is_required=True, is_id=True, note="the customer number"),
        Column("contactEmail", note="the login, unique whatever its case"),
        Column("title"),
        Column("firstName"),
        Column("middleName"),
        Column("lastName"),
        Column("contactPhone"),
        Column("company"),
        Column("b2b.companyRegistrationId"),
        Column("preferredLanguage", note="the tenant's default when absent"),
        Column("preferredCurrency", note="the tenant's when absent"),
        Column("preferredSite", note="the tenant's default site when absent"),
        Column("type", note="CUSTOMER or CONTACT"),
        Column("photoUrl"),
        Column("active", ColumnType.FLAG, note="as it was when absent, true for a new customer"),
        Column("onHold", ColumnType.FLAG, note="as it was when absent, false for a new customer"),
        Column("mixins", ColumnType.JSON),
        Column("metadata.mixins", ColumnType.JSON),
        EXPECTED_VERSION,
    ),
    writer=WRITER,
    export=Export(
        document_of_files(
            ANSWER,
            (
                "id",
                "contactEmail",
                "title",
                "firstName",
                "middleName",
                "lastName",
                "contactPhone",
                "company",
                "preferredLanguage",
                "preferredCurrency",
                "preferredSite",
                "type",
                "photoUrl",
                "active",
                "onHold",
                "mixins",
            ),
            b2b=Nested({"companyRegistrationId": Text("customer.company_registration_id", omit_empty=True)}),
        ),
        order="customer.id",
    ),
)
CUSTOMER_FILES_WITH_ERASED = replace(
    CUSTOMER_FILES, writer=replace(WRITER, read=one_after_another(partial(read_customer, allows_erased=True)))
)
"""The same, when an operator says that customers who were erased may come back."""
