"""Customers from another system, with the password hashes that they had there."""

from collections.abc import Mapping

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.bodies.customers import CustomerImport, ImportedCustomerResult, RetentionConfiguration
from accounts.identity.models import PasswordMigration
from accounts.identity.operations import password_migrations
from accounts.identity.operations.customer_imports import ImportedCustomer, LegacyHash, import_customers
from accounts.identity.scopes import CUSTOMER_IMPORT_MANAGE, CUSTOMER_IMPORT_READ
from core.api.error_bodies import TYPED_ERRORS
from core.api.json import json_response, multi_status, read_batch, result_status
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import read_bodies, read_body
from core.errors import DomainError, InvalidInput
from core.json_types import JsonObject
from core.sql.upserts import RowResult


class CustomerImportViewSet(ContractViewSet):
    tag = "Import and migration"
    bulk_result = ImportedCustomerResult
    error_format = TYPED_ERRORS

    @operation(
        "POST-customer-tenant-import-customers", scopes=(CUSTOMER_IMPORT_MANAGE,), request=[CustomerImport]
    )
    def bulk_create(self, request: Request, tenant: str) -> HttpResponse:
        """Import up to 200 customers with their password hashes.

        `passwordHash` is in one of Django's encodings. `legacyAuth` is a hash of another system: its customer
        logs in with the same password, which is then hashed anew.
        """
        sent = read_batch(request.data)
        bodies = read_bodies(CustomerImport, sent)
        rows = [imported_customer(body, entry) for body, entry in zip(bodies, sent, strict=True)]
        results = import_customers(tenant_id=self.caller.tenant.id, rows=rows, at=self.at)
        return multi_status(results, import_entry)


class RetentionViewSet(ContractViewSet):
    """Until when a tenant keeps password hashes of another system."""

    tag = "Import and migration"
    has_page_parameters = False
    error_format = TYPED_ERRORS

    @operation(
        "GET-customer-tenant-retrieve-password-migration-retention",
        scopes=(CUSTOMER_IMPORT_READ,),
        responses={200: RetentionConfiguration},
        errors=(404,),
    )
    def retrieve(self, request: Request, tenant: str) -> HttpResponse:
        """Retrieve until when password hashes of another system are kept."""
        migration = password_migrations.migration_of(self.caller.tenant.id)
        return json_response(configuration(migration), 200)

    @operation(
        "POST-customer-tenant-configure-password-migration-retention",
        scopes=(CUSTOMER_IMPORT_MANAGE,),
        request=RetentionConfiguration,
        responses={200: RetentionConfiguration},
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Configure until when password hashes of another system are kept.

        Needed before an import with `legacyAuth`. After that day the hashes are deleted, and customers who
        have not logged in choose a new password.
        """
        body = read_body(RetentionConfiguration, request.data)
        migration = password_migrations.configure_migration(
            tenant_id=self.caller.tenant.id,
            retention_end_date=body.retention_end_date,
            email_reminder_date=body.email_reminder_date,
            email_notifications_enabled=body.email_notifications_enabled is not False,
            at=self.at,
        )
        return json_response(configuration(migration), 200)

    @operation("DELETE-customer-tenant-remove-password-migration-retention", scopes=(CUSTOMER_IMPORT_MANAGE,))
    def destroy(self, request: Request, tenant: str) -> HttpResponse:
        """Remove the configuration.

        Refused while a customer with a hash of another system is left.
        """
        password_migrations.remove_migration(tenant_id=self.caller.tenant.id)
        return HttpResponse(status=204)


def imported_customer(
    body: CustomerImport | DomainError, sent: Mapping[str, Mapping[str, object]]
) -> ImportedCustomer | DomainError:
    """Return what the body says, or what is wrong with it."""
    if isinstance(body, DomainError):
        return body
    for field, part in (("password", sent), ("account.password", sent["account"])):
        if part.get("password") is not None:
            return InvalidInput(
                f"{field} is not imported: send its hash as account.passwordHash or account.legacyAuth.",
                field=field,
            )
    account = body.account
    email = str(account.email)
    if body.email and body.email.lower() != email.lower():
        return InvalidInput("contactEmail must be the e-mail of the account.", field="contactEmail")
    if (account.password_hash is None) == (account.legacy_auth is None):
        return InvalidInput(
            "Exactly one of 'passwordHash' or 'legacyAuth' must be provided in the account", field="account"
        )
    legacy = account.legacy_auth
    return ImportedCustomer(
        external_id=body.id or "",
        values={**body.change().values, "email": email},
        password_hash=account.password_hash or "",
        legacy=LegacyHash(legacy.algorithm, legacy.hash, legacy.context or {}) if legacy else None,
    )


def import_entry(result: RowResult) -> JsonObject:
    """Say what became of one customer, counted from 0."""
    status = result_status(result)
    entry: JsonObject = {"index": result.position, "code": status.value, "status": status.phrase}
    if result.error:
        return {**entry, "message": result.error.message}
    return {**entry, "id": result.id}


def configuration(migration: PasswordMigration) -> JsonObject:
    return {
        "retentionEndDate": migration.retention_end_date.isoformat(),
        "emailReminderDate": migration.email_reminder_date.isoformat(),
        "emailNotificationsEnabled": migration.email_notifications_enabled,
    }
