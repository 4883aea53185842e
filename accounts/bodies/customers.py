"""What clients send about customers, and customers of themselves."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from accounts.bodies.rows import (
    Currency,
    EmailAddress,
    LanguageTag,
    Password,
    RowBody,
    Text20,
    Text60,
    Text100,
    Text150,
    Text200,
    WebAddress,
    json_value,
)
from accounts.models import Customer
from accounts.operations.documents import Change
from accounts.representations import CUSTOMERS, DOCUMENTED_PROFILE
from core.bodies import Body, ClientId, Reference
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.tenancy.documents import Document

SHORTEST_PASSWORD = 6


class EmployerBody(Body):
    """What a customer says of the company that they work for."""

    company_registration_id: Annotated[
        Text100 | None, Meta(description="The registration number of the company.")
    ] = None


PREFERENCES = ("preferredLanguage", "preferredCurrency", "preferredSite")


class ProfileBody(RowBody, kw_only=True):
    """What customers say of themselves. Without preferences they get the tenant's."""

    model = Customer
    documented = DOCUMENTED_PROFILE
    kept = frozenset({"email", "is_active", "is_on_hold"})

    email: EmailAddress | None = msgspec.field(name="contactEmail", default=None)
    title: Text20 | None = None
    first_name: Text150 | None = None
    middle_name: Text150 | None = None
    last_name: Text150 | None = None
    contact_phone: Text60 | None = None
    company: Text200 | None = None
    b2b: EmployerBody | None = None
    preferred_language: LanguageTag | None = None
    preferred_currency: Currency | None = None
    preferred_site: Reference | None = None
    photo_url: WebAddress | None = None

    def values(self) -> JsonObject:
        registration = self.b2b.company_registration_id if self.b2b else None
        return {**super().values(), "company_registration_id": json_value(registration or "")}

    @classmethod
    def document(cls, row: Document) -> JsonObject:
        found = super().document(row)
        number, registration = row.external_id, row.company_registration_id  # type: ignore[attr-defined]
        unset = [name for name in PREFERENCES if not found[name]]
        return {
            **{name: value for name, value in found.items() if name not in unset},
            "id": number,
            "customerNumber": number,
            "b2b": {"companyRegistrationId": registration},
        }


class CustomerBody(ProfileBody, kw_only=True):
    """What staff says of a customer. Absent, `active` and `onHold` stay as they are."""

    documented = CUSTOMERS.documented

    type: Literal["CUSTOMER", "CONTACT"] | None = None
    is_active: bool | None = msgspec.field(name="active", default=None)
    is_on_hold: bool | None = msgspec.field(name="onHold", default=None)


class CustomerCreation(CustomerBody, kw_only=True):
    """A new customer, with the password that they begin with."""

    apart = frozenset({"password"})

    id: ClientId | None = None
    password: Annotated[
        Annotated[str, Meta(min_length=SHORTEST_PASSWORD, max_length=128)] | None,
        Meta(description="A first password; logins say `initialPassword` until the customer changes it."),
    ] = None


class LegacyAuth(Body):
    """A password hash of another system; `context` is what its algorithm needs besides."""

    algorithm: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100)],
        Meta(description="The name of a verifier of LEGACY_PASSWORD_VERIFIERS."),
    ]
    hash: Annotated[
        Annotated[str, Meta(min_length=1, max_length=500)],
        Meta(description="The hash, as the other system stored it."),
    ]
    context: Annotated[
        dict[str, str] | None, Meta(description="What the algorithm needs besides, such as a salt.")
    ] = None


class ImportedAccount(Body):
    """The login of an imported customer, with one of the two kinds of hashes."""

    email: Annotated[EmailAddress, Meta(description="The login.")]
    password_hash: Annotated[
        Annotated[str, Meta(max_length=128)] | None, Meta(description="A hash in an encoding of Django.")
    ] = None
    legacy_auth: Annotated[LegacyAuth | None, Meta(description="A hash of another system.")] = None


class CustomerImport(ProfileBody, kw_only=True):
    """A customer as another system had them."""

    type: Annotated[
        Literal["CUSTOMER", "CONTACT"] | None, Meta(description="Whether this is a mere contact.")
    ] = None
    id: ClientId | None = None
    account: Annotated[ImportedAccount, Meta(description="The login and the password's hash.")]


class RetentionConfiguration(Body, kw_only=True):
    """Until when password hashes of another system are kept, and whether customers get e-mails about it."""

    retention_end_date: Annotated[
        date, Meta(description="After today; from then on no hash of another system is accepted.")
    ]
    email_reminder_date: Annotated[date | None, Meta(description="The day of a reminder by e-mail.")] = None
    email_notifications_enabled: Annotated[bool | None, Meta(description="Whether reminders are sent.")] = (
        None
    )


class Credentials(Body):
    """The e-mail and the password of a login."""

    email: Annotated[EmailAddress, Meta(description="The e-mail; the one of the sign-up.")]
    password: Annotated[Password, Meta(description="The password; it wins over the one beside it.")]


class SignUp(Body):
    """A sign-up. An address is accepted and not kept. A customer has one e-mail, whatever names it.

    The settings' AUTH_PASSWORD_VALIDATORS say which passwords are accepted.
    """

    email: Annotated[EmailAddress, Meta(description="The e-mail, which is the login.")]
    password: Annotated[Password, Meta(description="The password.")]
    customer_details: Annotated[
        ProfileBody | None, Meta(description="What the customer says of themselves.")
    ] = None
    customer_address: Annotated[JsonObject | None, Meta(description="Accepted and not kept.")] = None
    signup: Annotated[
        Credentials | None, Meta(description="E-mail and password again, as some clients send them.")
    ] = None

    @property
    def profile(self) -> Change:
        """The customer's columns. Raises InvalidInput when the body names several e-mails."""
        named = {
            "customerDetails.contactEmail": self.customer_details and self.customer_details.email,
            "signup.email": self.signup and self.signup.email,
        }
        for field, email in named.items():
            if email and email.lower() != self.email.lower():
                raise InvalidInput(f"{field} must be the e-mail of the sign-up.", field=field)
        change = (self.customer_details or ProfileBody()).change()
        return Change({**change.values, "email": str(self.email)})

    @property
    def chosen_password(self) -> tuple[str, str]:
        """The path of the field that has the password, and the password."""
        if self.signup:
            return "signup.password", self.signup.password
        return "password", self.password


def refuse_password(body: object) -> None:
    """Raise InvalidInput for a body or patch with a password, where the contract has no such field."""
    patches = body if isinstance(body, list) else []
    paths = [patch.get("path") for patch in patches if isinstance(patch, Mapping)]
    if "/password" in paths or (isinstance(body, Mapping) and body.get("password") is not None):
        raise InvalidInput(
            "password cannot be set here. Customers change theirs by POST password/change or"
            " password/reset, and staff in the admin.",
            field="password",
        )


class ImportedCustomerResult(Body, kw_only=True):
    """What became of one customer of an import; `index` counts from 0."""

    index: Annotated[int, Meta(description="The entry's position in the body.")]
    id: Annotated[str | None, Meta(description="The customer's number.")] = None
    code: Annotated[int, Meta(description="The status code that the entry would have got by itself.")]
    status: Annotated[str, Meta(description="The name of the code.")]
    message: Annotated[str | None, Meta(description="Why the entry was refused.")] = None
