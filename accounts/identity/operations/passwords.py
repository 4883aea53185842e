"""Passwords of customers: changed, forgotten and set again."""

import hmac
from datetime import datetime

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage

from accounts.errors import InvalidCredentials, UnusableResetToken, WrongPassword
from accounts.identity.operations.attempts import AttemptLimit, count_attempt, counted_login, subject_of
from accounts.identity.operations.sessions import customer_with_password
from accounts.mail import make_email, send_email
from accounts.models import Customer
from accounts.models.customers import canonical_email
from accounts.operations.customers import check_new_password, set_customer_password
from core.actors import acting_as_customer
from core.tenancy.models import Tenant

RESET_SALT = "password reset of a customer"
RESETS_OF_EMAIL = 3  # in 15 minutes, as the next
RESETS_OF_ADDRESS = 20


def change_password(
    *,
    tenant_id: int,
    customer_id: int,
    session_id: str,
    current_password: str,
    new_password: str,
    address: str,
    at: datetime,
) -> None:
    """Change the customer's own password; all their other sessions end.

    Raises WrongPassword, UnacceptablePassword, TooManyAttempts (wrong passwords count as failed logins) and
    Overloaded. Call it outside a transaction that a failure rolls back.
    """
    customer = Customer.objects.for_tenant(tenant_id).get(pk=customer_id)
    check_new_password(new_password, customer, field="newPassword")
    try:
        with counted_login(realm=tenant_id, account=customer.email or "", address=address, at=at):
            customer_with_password(
                tenant_id=tenant_id, email=customer.email or "", password=current_password, at=at
            )
    except InvalidCredentials:
        raise WrongPassword from None
    set_customer_password(
        customer=customer, password=new_password, is_initial=False, keep_session=session_id, at=at
    )


def request_password_reset(*, tenant_id: int, email: str, address: str, at: datetime) -> None:
    """Send the customer with this e-mail a token that sets a new password.

    Nothing says whether there is one, nor does the time: an e-mail is made in any case. Limited by e-mail and
    by address: raises TooManyAttempts.
    """
    login = canonical_email(email)
    count_attempt(
        [
            AttemptLimit(
                subject_of("reset", tenant_id, login), most=RESETS_OF_EMAIL, counted="password resets"
            ),
            AttemptLimit(
                subject_of("reset address", tenant_id, address),
                most=RESETS_OF_ADDRESS,
                counted="password resets",
            ),
        ],
        at=at,
    )
    customer = Customer.objects.for_tenant(tenant_id).with_email(email).filter(is_active=True).first()
    message = reset_email(customer or Customer(tenant_id=tenant_id, pk=0, email=login), at=at)
    if customer is not None:
        send_email(message)


def send_reset_token(customer: Customer, *, at: datetime) -> None:
    """Send a token that sets a new password to the customer's e-mail."""
    send_email(reset_email(customer, at=at))


def reset_email(customer: Customer, *, at: datetime) -> EmailMessage:
    """Return the e-mail with a token that sets the customer's new password."""
    assert customer.email
    token = reset_token(customer, at=at)
    return make_email(
        customer.email,
        subject="Your new password",
        template="password_reset",
        context={
            "shop": Tenant.objects.get(pk=customer.tenant_id).title,
            "token": token,
            "link": settings.PASSWORD_RESET_URL.replace("{token}", token),
            "minutes": settings.PASSWORD_RESET_LIFETIME // 60,
        },
    )


def reset_password(*, tenant_id: int, token: str, password: str, address: str, at: datetime) -> None:
    """Set the password of the customer who received the token; all their sessions end.

    Raises UnusableResetToken, UnacceptablePassword and Overloaded; TooManyAttempts limits made-up tokens.
    """
    count_attempt(
        [AttemptLimit(subject_of("reset token", tenant_id, address), most=100, counted="password resets")],
        at=at,
    )
    customer = customer_of_token(token, tenant_id=tenant_id, at=at)
    check_new_password(password, customer, field="password")
    with acting_as_customer(customer.external_id):
        set_customer_password(customer=customer, password=password, is_initial=False, at=at)


def reset_token(customer: Customer, *, at: datetime) -> str:
    """Return a token that is good for PASSWORD_RESET_LIFETIME, and until the password or e-mail changes."""
    content = [customer.pk, int(at.timestamp()), state_digest(customer)]
    return signing.dumps(content, salt=RESET_SALT)


def customer_of_token(token: str, *, tenant_id: int, at: datetime) -> Customer:
    """Return the customer of the token; raise UnusableResetToken when it is unknown, used or expired."""
    try:
        key, made_at, digest = signing.loads(token, salt=RESET_SALT)
    except signing.BadSignature:
        raise UnusableResetToken from None
    customer = Customer.objects.for_tenant(tenant_id).filter(pk=key, is_active=True).first()
    is_over = at.timestamp() >= made_at + settings.PASSWORD_RESET_LIFETIME
    if customer is None or is_over or not hmac.compare_digest(digest, state_digest(customer)):
        raise UnusableResetToken
    return customer


def state_digest(customer: Customer) -> str:
    """Return what changes when the password, the e-mail or the last login does: a used token is dead."""
    return subject_of(RESET_SALT, customer.pk, customer.password, customer.email, customer.last_login_at)[:32]
