"""Signing up, and a customer's own profile."""

from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.api.viewsets.customers import EXPAND, PROTECTED
from accounts.bodies.customers import CustomerBody, ProfileBody, SignUp, refuse_password
from accounts.bodies.rows import ResourceId
from accounts.identity.scopes import CUSTOMER_READ_OWN, PROFILE_EDIT, PROFILE_VIEW
from accounts.models import Customer
from accounts.operations import customers
from accounts.operations.documents import Change, locked_version
from accounts.representations import PROFILES
from core.addresses import client_address
from core.api.error_bodies import TYPED_ERRORS
from core.api.json import json_response
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import read_body
from core.errors import InvalidInput, NotFound
from core.patches import apply_patch
from core.sql.composition import equals
from core.tenancy.callers import CallerKind, customer_of, require_kind

ANONYMOUS_PROFILE = {
    "id": "00000000",
    "customerNumber": "00000000",
    "firstName": "Anonymous",
    "lastName": "Anonymous",
    "preferredSite": "default",
    "accounts": [],
}


class SignupViewSet(ContractViewSet):
    tag = "Account and profile"
    created = ResourceId
    error_format = TYPED_ERRORS

    @operation("POST-customer-create-customer-account", request=SignUp, errors=(429,))
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Sign up.

        Needs an anonymous access token.
        """
        require_kind(self.caller, CallerKind.ANONYMOUS)
        body = read_body(SignUp, request.data)
        if (request.data.get("customerDetails") or {}).get("password") is not None:
            raise InvalidInput(
                "customerDetails.password is not read: send password beside customerDetails.",
                field="customerDetails.password",
            )
        password_field, password = body.chosen_password
        customer = customers.sign_up(
            tenant_id=self.caller.tenant.id,
            session_id=self.caller.session_id,
            address=client_address(request._request),
            values=body.profile.values,
            password=password,
            password_field=password_field,
            at=self.at,
        )
        return self.created_response(customer.external_id)


class ProfileViewSet(ContractViewSet):
    """`me`: the caller's own profile."""

    tag = "Account and profile"
    resource = PROFILES
    error_format = TYPED_ERRORS

    @operation("GET-customer-retrieve-customer-profile", parameters=(EXPAND,))
    def retrieve(self, request: Request, tenant: str) -> HttpResponse:
        """Retrieve one's own profile.

        Anonymous visitors get a profile that says so.
        """
        if self.caller.kind is CallerKind.ANONYMOUS:
            return private(json_response(ANONYMOUS_PROFILE, 200))
        own = customer_of(self.caller)
        self.require_scope(PROFILE_VIEW, CUSTOMER_READ_OWN)
        conditions = [
            equals("customer.tenant_id", self.caller.tenant.id),
            equals("customer.id", own.id),
        ]
        return private(
            self.document_response(
                PROFILES, conditions, missing=partial(NotFound, resource_id=own.external_id)
            )
        )

    def locked_version(self) -> int | None:
        own = customer_of(self.caller)
        self.require_scope(PROFILE_EDIT)
        return locked_version(Customer, tenant_id=self.caller.tenant.id, external_id=own.external_id)

    @operation("PATCH-customer-update-customer", request=ProfileBody, responses={200: None})
    def partial_update(self, request: Request, tenant: str) -> HttpResponse:
        """Change one's own profile.

        The e-mail is the login, which only staff can change.
        """
        own = customer_of(self.caller)
        self.require_scope(PROFILE_EDIT)
        customers.change_customer(
            tenant_id=self.caller.tenant.id,
            external_id=own.external_id,
            change=lambda customer: patched_profile(customer, request.data),
            is_own=True,
            at=self.at,
        )
        return HttpResponse(status=200)


def private(answer: HttpResponse) -> HttpResponse:
    """Keep shared caches from showing the answer to anybody else."""
    answer["Cache-Control"] = "private, no-cache"
    answer["Vary"] = "Authorization"
    return answer


def patched_profile(customer: Customer, patch: object) -> Change:
    """Return what the patch makes of a customer's own profile."""
    refuse_password(patch)
    document = apply_patch(CustomerBody.document(customer), patch, protected=PROTECTED)
    if customer.email and document.get("contactEmail") is None:
        raise InvalidInput("The e-mail of a customer cannot be removed.", field="contactEmail")
    return read_body(ProfileBody, document).change()
