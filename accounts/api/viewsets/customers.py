"""Customers, as staff and services manage them, and as customers see themselves there."""

from collections.abc import Sequence
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.bodies.customers import CustomerBody, CustomerCreation, refuse_password
from accounts.bodies.rows import ResourceId
from accounts.identity.scopes import CUSTOMER_MANAGE, CUSTOMER_MANAGE_OWN, CUSTOMER_READ, CUSTOMER_READ_OWN
from accounts.models import Customer
from accounts.operations import customers
from accounts.operations.documents import Change, locked_version
from accounts.operations.erasure import erase_customer, personal_data_of
from accounts.representations import CUSTOMERS
from core.api import parameters
from core.api.error_bodies import TYPED_ERRORS
from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import SearchBody, read_body
from core.errors import MissingScope, NotFound
from core.patches import KEPT_TIMES, apply_patch
from core.sql.composition import Sql, equals

EXPAND = query_parameter("expand", "Accepted; mixins are always returned.")
DATA_ERASURE = query_parameter(
    "dataErasure",
    "Erase everything personal as well. What has to stay, such as redemptions, keeps a pseudonym. Needs"
    " `customer.customer_manage`.",
    type=bool,
)
PROTECTED = ("/id", "/customerNumber", *KEPT_TIMES)
READ = (CUSTOMER_READ, CUSTOMER_READ_OWN)
MANAGE = (CUSTOMER_MANAGE, CUSTOMER_MANAGE_OWN)


class CustomerViewSet(ContractViewSet):
    """With the scopes `..._own` only, all this reaches no further than the caller's own profile."""

    tag = "Customers"
    resource = CUSTOMERS
    created = ResourceId
    search_body = SearchBody
    error_format = TYPED_ERRORS

    @operation("GET-customer-tenant-list-customers", scopes=READ, parameters=(EXPAND,))
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List customers."""
        return self.page_response(CUSTOMERS, self.visible_customers())

    @operation("POST-customer-tenant-search", scopes=READ, parameters=(EXPAND,))
    def search(self, request: Request, tenant: str) -> HttpResponse:
        """Search for customers."""
        return self.page_response(CUSTOMERS, self.visible_customers(), q=self.search_text())

    @operation("GET-customer-tenant-retrieve-customer", scopes=READ, parameters=(EXPAND,))
    def retrieve(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Retrieve a customer."""
        conditions = [
            *self.visible_customers(),
            equals("customer.external_id", customer_number),
        ]
        return self.document_response(
            CUSTOMERS, conditions, missing=partial(NotFound, resource_id=customer_number)
        )

    @operation("POST-customer-tenant-create-customer", scopes=MANAGE, request=CustomerCreation)
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a customer.

        Needs `customer.customer_manage`: nobody creates a second profile of their own.
        """
        self.require_scope(CUSTOMER_MANAGE)
        body = read_body(CustomerCreation, request.data)
        customer = customers.create_customer(
            tenant_id=self.caller.tenant.id,
            external_id=body.id or "",
            password=body.password or "",
            values=body.change().values,
            at=self.at,
        )
        return self.created_response(customer.external_id)

    def locked_version(self) -> int | None:
        customer_number = self.kwargs["customer_number"]
        self.reaches_own_profile_only(customer_number)
        return locked_version(Customer, tenant_id=self.caller.tenant.id, external_id=customer_number)

    @operation("PUT-customer-tenant-update-customer", scopes=MANAGE, request=CustomerBody)
    def update(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Create or replace a customer."""
        is_own = self.reaches_own_profile_only(customer_number)
        refuse_password(request.data)
        change = read_body(CustomerBody, request.data).change()
        if is_own:
            customers.change_customer(
                tenant_id=self.caller.tenant.id,
                external_id=customer_number,
                change=lambda customer: change,
                is_own=True,
                at=self.at,
            )
            return HttpResponse(status=204)
        customer, is_new = customers.upsert_customer(
            tenant_id=self.caller.tenant.id, external_id=customer_number, change=change, at=self.at
        )
        if is_new:
            return self.created_response(customer.external_id)
        return HttpResponse(status=204)

    @operation(
        "PATCH-customer-tenant-update-customer", scopes=MANAGE, request=CustomerBody, responses={200: None}
    )
    def partial_update(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Change a customer.

        Accepts JSON Patch (a list) and JSON Merge Patch (an object).
        """
        is_own = self.reaches_own_profile_only(customer_number)
        customers.change_customer(
            tenant_id=self.caller.tenant.id,
            external_id=customer_number,
            change=lambda customer: patched_customer(customer, request.data),
            is_own=is_own,
            at=self.at,
        )
        return HttpResponse(status=200)

    @operation(
        "DELETE-customer-tenant-remove-customer",
        scopes=MANAGE,
        parameters=(DATA_ERASURE,),
        responses={202: None},
    )
    def destroy(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Delete a customer.

        Sessions, contact assignments and segment assignments of the customer go too.
        """
        if parameters.flag(request.query_params, "dataErasure"):
            self.require_scope(CUSTOMER_MANAGE)
            erase_customer(
                tenant_id=self.caller.tenant.id,
                external_id=customer_number,
                requested_by=f"API client {self.caller.client_id}",
                at=self.at,
            )
            return HttpResponse(status=202)
        self.reaches_own_profile_only(customer_number)
        customers.delete_customer(tenant_id=self.caller.tenant.id, external_id=customer_number)
        return HttpResponse(status=202)

    @operation(
        "GET-customer-tenant-personal-data",
        scopes=(CUSTOMER_MANAGE,),
        responses={200: {"type": "object", "additionalProperties": True}},
    )
    def personal_data(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Retrieve everything that is held of a customer.

        One JSON object: the profile, sessions, contact and segment assignments, redemptions, coupons, refused
        rows of imports and the admin's log. An extension of this service.
        """
        held = personal_data_of(tenant_id=self.caller.tenant.id, external_id=customer_number)
        return json_response(held, 200)

    def visible_customers(self) -> Sequence[Sql]:
        """Return the conditions of the customers that the caller may read."""
        conditions = [equals("customer.tenant_id", self.caller.tenant.id)]
        if not self.has_scope(CUSTOMER_READ):
            own = self.caller.customer
            conditions.append(equals("customer.id", own.id) if own else Sql("FALSE"))
        return conditions

    def reaches_own_profile_only(self, customer_number: str) -> bool:
        """Say whether the caller may write this profile only as its own; raise MissingScope if not at all."""
        if self.has_scope(CUSTOMER_MANAGE):
            return False
        own = self.caller.customer
        if own is None or own.external_id != customer_number:
            raise MissingScope((CUSTOMER_MANAGE,))
        return True


def patched_customer(customer: Customer, patch: object) -> Change:
    """Return what the patch makes of a customer."""
    refuse_password(patch)
    document = apply_patch(CustomerBody.document(customer), patch, protected=PROTECTED)
    change = read_body(CustomerBody, document).change()
    return Change({"email": None, **change.values}, change.expected_version)
