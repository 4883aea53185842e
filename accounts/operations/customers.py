"""Customers: created by staff or by signing up, changed by staff or by themselves."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.errors import DuplicateAccount, DuplicateId, OnlyStaffMayChange, UnacceptablePassword
from accounts.identity.models import LegacyPassword, Session
from accounts.identity.operations.attempts import AttemptLimit, count_attempt, forgive_attempt, subject_of
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import Customer, Site, User
from accounts.operations.documents import (
    Change,
    apply_change,
    delete_row,
    existing_document,
    locked_document,
)
from accounts.passwords import hash_password
from core.errors import DomainError, InvalidInput, Overloaded
from core.sql.integrity import translate_integrity_errors
from core.tenancy.identifiers import check_client_id, generate_id
from core.tenancy.models import Tenant

STAFF_COLUMNS = {
    "email": "contactEmail",
    "is_active": "active",
    "is_on_hold": "onHold",
    "type": "type",
}
KNOWN_EMAILS_OF_SESSION = 5  # in 15 minutes, as the next
KNOWN_EMAILS_OF_ADDRESS = 20


def create_customer(
    *,
    tenant_id: int,
    values: Mapping[str, object],
    external_id: str = "",
    password: str = "",
    encoded_password: str = "",
    chose_password: bool = False,
    at: datetime,
) -> Customer:
    """Make a customer, who can log in when there is an e-mail and a password.

    A `password` is one that staff chose, unless the customer `chose_password`. `encoded_password` is one
    that is hashed already. Raises DuplicateId, DuplicateAccount when the
    e-mail is another customer's, and InvalidInput for an id that clients cannot choose.
    """
    customer = Customer(
        tenant_id=tenant_id,
        external_id=check_client_id(external_id or generate_id(), field="id", reserved=Customer.reserved_ids),
        created_at=at,
        modified_at=at,
        password=encoded_password,
        has_initial_password=bool(password) and not chose_password,
        **values,
    )
    if password:
        customer.password = hash_password(password)  # takes its time: not while a lock is held
    save(customer)
    return customer


def sign_up(
    *,
    tenant_id: int,
    session_id: str,
    address: str,
    values: Mapping[str, object],
    password: str,
    password_field: str,
    at: datetime,
) -> Customer:
    """Make a customer for the caller, in the anonymous session and from the address named.

    The password must pass settings.AUTH_PASSWORD_VALIDATORS, else UnacceptablePassword names
    `password_field`. Sign-ups are limited by address. Those with an e-mail that is known reveal who is a
    customer, so they are limited further, by session and by address. Raises DuplicateAccount,
    TooManyAttempts, and Overloaded when too many passwords are being hashed already. Call it outside a
    transaction that a failure rolls back.
    """
    check_new_password(password, Customer(**values), field=password_field)
    of_known = [
        AttemptLimit(
            subject_of("known e-mail session", tenant_id, session_id),
            most=KNOWN_EMAILS_OF_SESSION,
            counted="sign-ups",
        ),
        AttemptLimit(
            subject_of("known e-mail address", tenant_id, address),
            most=KNOWN_EMAILS_OF_ADDRESS,
            counted="sign-ups",
        ),
    ]
    of_address = AttemptLimit(
        subject_of("sign-up", tenant_id, address), most=settings.SIGN_UPS_OF_ADDRESS, counted="sign-ups"
    )
    count_attempt([*of_known, of_address], at=at)
    email = str(values["email"])
    if Customer.objects.for_tenant(tenant_id).with_email(email).exists():
        raise DuplicateAccount(email=email)
    try:
        customer = create_customer(
            tenant_id=tenant_id, values=values, password=password, chose_password=True, at=at
        )
    except Overloaded:  # nothing was tried
        forgive_attempt([*of_known, of_address])
        raise
    forgive_attempt(of_known)
    return customer


@transaction.atomic
def upsert_customer(
    *, tenant_id: int, external_id: str, change: Change, at: datetime
) -> tuple[Customer, bool]:
    """Replace the customer's profile, or make a customer with this id; say whether it was made.

    A profile that does not say whether the customer is active or on hold leaves that as it is. Raises
    VersionConflict and what `create_customer` raises.
    """
    customer = locked_document(Customer, tenant_id=tenant_id, external_id=external_id)
    if customer is None:
        values = change.values
        try:
            return create_customer(tenant_id=tenant_id, external_id=external_id, values=values, at=at), True
        except DuplicateId:  # another writer has just made it
            customer = existing_document(Customer, tenant_id=tenant_id, external_id=external_id)
    replace_profile(customer, change, at=at)
    return customer, False


@transaction.atomic
def change_customer(
    *,
    tenant_id: int,
    external_id: str,
    change: Callable[[Customer], Change],
    is_own: bool = False,
    at: datetime,
) -> Customer:
    """Change the customer to what `change` makes of the locked row.

    With `is_own` the customer changes their own profile: raises OnlyStaffMayChange when that touches more
    than a profile. Raises NotFound, VersionConflict and DuplicateAccount.
    """
    customer = existing_document(Customer, tenant_id=tenant_id, external_id=external_id)
    wanted = change(customer)
    if is_own:
        for column, name in STAFF_COLUMNS.items():
            if wanted.values.get(column, getattr(customer, column)) != getattr(customer, column):
                raise OnlyStaffMayChange(f"Customers cannot change {name} themselves.", field=name)
    replace_profile(customer, wanted, at=at)
    return customer


@transaction.atomic
def delete_customer(*, tenant_id: int, external_id: str) -> None:
    """Delete the customer with sessions, contact and segment assignments. Raises NotFound."""
    delete_row(existing_document(Customer, tenant_id=tenant_id, external_id=external_id))
    announce_revocation()


@transaction.atomic
def delete_customers(*, tenant_id: int, external_ids: Sequence[str]) -> set[str]:
    """Delete these customers as `delete_customer` does, in two statements; return which there were."""
    customers = Customer.objects.for_tenant(tenant_id).filter(external_id__in=external_ids)
    doomed = dict(customers.order_by("pk").select_for_update(of=("self",)).values_list("pk", "external_id"))
    rows = Customer.objects.filter(pk__in=list(doomed))
    rows._raw_delete(rows.db)
    announce_revocation()
    return set(doomed.values())


def set_customer_password(
    *, customer: Customer, password: str, is_initial: bool, keep_session: str = "", at: datetime
) -> None:
    """Give the customer another password and end all their sessions, apart from the one to keep.

    `is_initial` says that staff chose it, so that logins ask the customer for another one.
    """
    encoded = hash_password(password)  # takes its time: not while a lock is held
    with transaction.atomic():
        store_password(customer, encoded)
        Customer.objects.filter(pk=customer.pk).update(has_initial_password=is_initial)
        sessions = Session.objects.filter(tenant=customer.tenant_id, customer=customer, revoked_at=None)
        if keep_session:
            sessions = sessions.exclude(session_id=keep_session)
        sessions.update(revoked_at=at)
        announce_revocation()


def store_password(customer: Customer, encoded: str) -> None:
    """Store the hash; one of another system goes."""
    Customer.objects.filter(pk=customer.pk).update(password=encoded)
    LegacyPassword.objects.filter(tenant=customer.tenant_id, customer=customer).delete()


def check_new_password(password: str, customer: Customer, *, field: str) -> None:
    """Raise UnacceptablePassword when a validator of the settings refuses the customer's new password."""
    try:
        validate_password(password, cast(User, customer))  # the validators read names and e-mail only
    except ValidationError as refused:
        raise UnacceptablePassword(" ".join(refused.messages), field=field) from None


def replace_profile(customer: Customer, change: Change, *, at: datetime) -> None:
    """Save the changed profile of a locked customer."""
    had_email = customer.email
    apply_change(customer, change, at=at)
    if had_email and not customer.email:
        raise InvalidInput("The e-mail of a customer cannot be removed.", field="contactEmail")
    save(customer)
    announce_revocation()


def fill_preferences(customer: Customer) -> None:
    """Give a customer the tenant's language, currency and default site where no preference is named."""
    if customer.preferred_language and customer.preferred_currency and customer.preferred_site:
        return
    tenant = Tenant.objects.get(pk=customer.tenant_id)
    site = Site.objects.for_tenant(tenant).filter(is_default=True).first()
    customer.preferred_language = customer.preferred_language or tenant.default_language
    customer.preferred_currency = customer.preferred_currency or tenant.currency
    customer.preferred_site = customer.preferred_site or (site.code if site else "")


def save(customer: Customer) -> None:
    fill_preferences(customer)
    errors: dict[str, DomainError] = {
        "customer_id_unique": DuplicateId(resource_id=customer.external_id),
        "customer_email_unique": DuplicateAccount(email=customer.email or ""),
    }
    with translate_integrity_errors(errors):
        customer.save()
