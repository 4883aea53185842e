"""What clients send about customers, legal entities, contact assignments and sites.

Members have the names of the model's columns where they are stored in one, and camelCase or the name given on
the wire. `DocumentBody.mixins` and `metadata.mixins` are the columns `mixins` and `mixin_schemas`.
"""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, ClassVar, Literal, Self

import msgspec
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from msgspec import Meta, Struct

from accounts.models import ContactAssignment, Customer, LegalEntity, Site
from accounts.operations.documents import Change
from accounts.representations import (
    CONTACT_ASSIGNMENTS,
    CUSTOMERS,
    DOCUMENTED_PROFILE,
    LEGAL_ENTITIES,
    SITES,
)
from core.bodies import IS_ID, MESSAGE, Body, ClientId, DocumentBody, OptionalReference, Reference
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.model_fields import concrete_field
from core.representation.languages import LanguageContext
from core.tenancy.documents import Document, metadata_of
from core.text import has_visible_character, normalized, trimmed
from core.timestamps import time_zone_names

LARGEST_AMOUNT = 1_000_000_000_000
SHORTEST_PASSWORD = 6
check_url = URLValidator(schemes=["http", "https"])

Text20 = Annotated[str, Meta(max_length=20)]
Text60 = Annotated[str, Meta(max_length=60)]
Text100 = Annotated[str, Meta(max_length=100)]
Text150 = Annotated[str, Meta(max_length=150)]
Text200 = Annotated[str, Meta(max_length=200)]
Text300 = Annotated[str, Meta(max_length=300)]
Text2000 = Annotated[str, Meta(max_length=2_000)]
Password = Annotated[str, Meta(min_length=1, max_length=128)]
FreeObjects = Annotated[list[JsonObject], Meta(max_length=100)]

Language = Annotated[
    str, Meta(pattern=r"^[a-z]{2}$(?!\n)", extra={MESSAGE: "must be two lower-case letters, such as en"})
]
Country = Annotated[
    str, Meta(pattern=r"^[A-Z]{2}$(?!\n)", extra={MESSAGE: "must be two capital letters, such as DE"})
]
Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", extra={MESSAGE: "must be three capital letters, such as EUR"})
]
LanguageTag = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$(?!\n)",
        max_length=35,
        extra={MESSAGE: "must be a language such as en or de_CH"},
    ),
]
SiteCode = Annotated[
    str,
    Meta(
        pattern=r"^(?!\.{1,2}$)[^\s#/]+$(?!\n)",
        max_length=128,
        extra={
            MESSAGE: "must be 1 to 128 characters without blanks, # and /, and not . or ..",
            IS_ID: True,
        },
    ),
]


class ReadText(str):
    """The base of texts that need more than a pattern: `check` returns the text to keep."""

    max_length: ClassVar[int]
    schema_format: ClassVar[str] = ""

    @classmethod
    def read(cls, value: object, languages: LanguageContext, *, field: str) -> Self:
        """Return the text; raise InvalidInput naming the field when it cannot be one."""
        if not isinstance(value, str):
            raise InvalidInput(f"{field} must be a text.", field=field)
        text = cls.check(value, field=field)
        if len(text) > cls.max_length:
            raise InvalidInput(f"{field} is longer than {cls.max_length} characters.", field=field)
        return cls(text)

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        raise NotImplementedError

    @classmethod
    def schema(cls) -> JsonObject:
        """Return the JSON Schema."""
        described: JsonObject = {"type": "string", "maxLength": cls.max_length}
        return {**described, "format": cls.schema_format} if cls.schema_format else described


class EmailAddress(ReadText):
    """An e-mail address, in NFC and without invisible characters at its ends."""

    max_length = 254
    schema_format = "email"

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        address = normalized(trimmed(value))
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidInput(f"{field} must be an e-mail address.", field=field) from None
        return address


class WebAddress(ReadText):
    """The address of a page or file, or nothing."""

    max_length = 2_000
    schema_format = "uri"

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        address = value.strip()
        try:
            if address:
                check_url(address)
        except ValidationError:
            raise InvalidInput(f"{field} must begin with http:// or https://.", field=field) from None
        return address


class PlainName(ReadText):
    """The name of a thing, of which something can be seen."""

    max_length = 300

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        if not has_visible_character(value):
            raise InvalidInput(f"{field} must not be empty.", field=field)
        return normalized(value.strip())


class SiteName(PlainName):
    max_length = 200


class TimeZone(ReadText):
    """The name of an IANA time zone."""

    max_length = 64

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        if value not in time_zone_names():
            raise InvalidInput(f"{field} must be an IANA time zone such as Europe/Berlin.", field=field)
        return value


class RowBody(DocumentBody):
    """A document whose members are columns of `model`, under the same names.

    Writes replace: what the body leaves out gets the column's default, apart from the columns of `kept`,
    which a write that says nothing of them keeps. Members of `apart` are no columns: the operation
    takes them in another way.
    """

    model: ClassVar[type[Document]]
    kept: ClassVar[frozenset[str]] = frozenset()
    apart: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @cache
    def columns(cls) -> tuple[str, ...]:
        """Return the names of the columns that the body says."""
        taken = {field.attname for field in cls.model._meta.concrete_fields}
        taken -= {*cls.apart, *DocumentBody.__struct_fields__, "id"}
        return tuple(name for name in cls.__struct_fields__ if name in taken)

    def change(self) -> Change:
        """Return what the body says, as columns, and the version that the client has seen."""
        values = self.values()
        values["mixins"] = self.mixins
        values["mixin_schemas"] = self.mixin_schemas
        return Change(values, self.expected_version)

    def values(self) -> JsonObject:
        """Return the values of the model's own columns."""
        values: JsonObject = {}
        for name in self.columns():
            value = getattr(self, name)
            if value is not None:
                values[name] = json_value(value)
            elif name not in self.kept:
                values[name] = concrete_field(self.model, name).get_default()
        return values

    @classmethod
    def document(cls, row: Document) -> JsonObject:
        """Return the row as a patch sees it: what clients write of it, under the names on the wire."""
        names = dict(zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True))
        found: JsonObject = {names[column]: getattr(row, column) for column in cls.columns()}
        found["mixins"] = row.mixins
        found["metadata"] = metadata_of(row)
        return {name: value for name, value in found.items() if value is not None}


def json_value(value: object) -> object:
    """Return a member as its column takes it: texts trimmed and in NFC, objects without absent members."""
    if isinstance(value, str):
        return normalized(str(value).strip())
    if isinstance(value, list):
        return [json_value(entry) for entry in value]
    if isinstance(value, Struct):
        members = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        pairs = [(shown, getattr(value, name)) for name, shown in members]
        return {name: json_value(member) for name, member in pairs if member is not None}
    return value


# Customers


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


# Legal entities and their contacts


class LegalInfo(Body):
    """How a legal entity is registered."""

    legal_name: Annotated[Text300 | None, Meta(description="The registered name.")] = None
    registration_date: Annotated[
        Annotated[str, Meta(max_length=40)] | None, Meta(description="When it was registered.")
    ] = None
    tax_registration_number: Annotated[Text100 | None, Meta(description="The tax number.")] = None
    registration_agency: Annotated[Text300 | None, Meta(description="Who registered it.")] = None
    country_of_registration: Annotated[Text100 | None, Meta(description="Where it is registered.")] = None
    registration_id: Annotated[Text100 | None, Meta(description="The number in the register.")] = None


class AccountLimit(Body):
    """Up to which amount a legal entity may buy."""

    currency: Annotated[
        Annotated[str, Meta(max_length=3)] | None, Meta(description="The currency (ISO 4217).")
    ] = None
    value: Annotated[
        Annotated[float, Meta(ge=0, le=LARGEST_AMOUNT)] | None, Meta(description="The amount.")
    ] = None


class NamedById(Body):
    """What is named by its id."""

    id: Annotated[Reference, Meta(description="The id.")]


class CustomerGroup(NamedById, kw_only=True):
    """A group of customers of a legal entity, with its name and role."""

    name: Annotated[JsonObject | None, Meta(description="The name by language.")] = None
    role: Annotated[Text100 | None, Meta(description="The role of its customers.")] = None


Named = Annotated[list[NamedById], Meta(max_length=200)]


class LegalEntityBody(RowBody, kw_only=True):
    """A company, or a subsidiary of one. Without `parentId` it has no parent."""

    model = LegalEntity
    documented = LEGAL_ENTITIES.documented
    apart = frozenset({"parent_id"})

    name: PlainName
    type: Literal["COMPANY", "SUBSIDIARY"] | None = None
    parent_id: OptionalReference | None = None
    legal_info: LegalInfo | None = None
    account_limit: AccountLimit | None = None
    customer_groups: Annotated[list[CustomerGroup], Meta(max_length=200)] | None = None
    entities_addresses: Named | None = None
    approval_group: Named | None = None
    restrictions: Annotated[list[Reference], Meta(max_length=1)] | None = None


class LegalEntityCreation(LegalEntityBody, kw_only=True):
    """A new legal entity; without an id it gets one."""

    id: ClientId | None = None


class ContactAssignmentBody(RowBody, kw_only=True):
    """A customer who may act for a legal entity; both exist."""

    model = ContactAssignment
    documented = CONTACT_ASSIGNMENTS.documented

    legal_entity: NamedById
    customer: NamedById
    type: Literal["PRIMARY", "BILLING", "LOGISTICS", "CONTACT"] | None = None
    is_primary: bool | None = msgspec.field(name="primary", default=None)


class ContactAssignmentCreation(ContactAssignmentBody, kw_only=True):
    """A new contact assignment; without an id it gets one."""

    id: ClientId | None = None


# Sites


class SiteAddress(Body):
    """The postal address of a site's home base."""

    country: Annotated[Country, Meta(description="The country (ISO 3166-1).")]
    zip_code: Annotated[Text20, Meta(description="The postal code.")]
    street: Annotated[Text200 | None, Meta(description="The street.")] = None
    street_number: Annotated[
        Annotated[str, Meta(max_length=50)] | None, Meta(description="The number of the house.")
    ] = None
    street_appendix: Annotated[Text200 | None, Meta(description="What follows the number.")] = None
    extra_line1: Annotated[Text200 | None, Meta(description="Another line.")] = None
    extra_line2: Annotated[Text200 | None, Meta(description="Another line.")] = None
    extra_line3: Annotated[Text200 | None, Meta(description="Another line.")] = None
    extra_line4: Annotated[Text200 | None, Meta(description="Another line.")] = None
    city: Annotated[Text200 | None, Meta(description="The town.")] = None
    state: Annotated[Text100 | None, Meta(description="The state or province.")] = None


class Location(Body):
    """A point on earth, in degrees."""

    latitude: Annotated[Annotated[float, Meta(ge=-90, le=90)] | None, Meta(description="In degrees.")] = None
    longitude: Annotated[Annotated[float, Meta(ge=-180, le=180)] | None, Meta(description="In degrees.")] = (
        None
    )


class HomeBase(Body):
    """Where a site is at home."""

    address: Annotated[SiteAddress, Meta(description="The postal address.")]
    location: Annotated[Location | None, Meta(description="The place on the map.")] = None
    timezone: Annotated[TimeZone | None, Meta(description="The IANA time zone, such as Europe/Berlin.")] = (
        None
    )


class AssistedBuying(Body):
    """Where staff buys for customers."""

    storefront_url: Annotated[Text2000 | None, Meta(description="The address of the storefront.")] = None


class PatchedSite(RowBody, kw_only=True):
    """A site after a patch. One that was made without a home base may still have none."""

    model = Site
    apart = frozenset({"code"})
    settings: ClassVar[tuple[str, ...]] = (
        "shipping",
        "payment",
        "tax",
        "assisted_buying",
        "cart_calculation_scale",
    )

    code: SiteCode | None = None
    name: SiteName
    is_active: bool | None = msgspec.field(name="active", default=None)
    is_default: bool | None = msgspec.field(name="default", default=None)
    includes_tax: bool | None = None
    default_language: Language
    languages: Annotated[list[Language], Meta(min_length=1, max_length=100)]
    currency: Currency
    available_currencies: Annotated[list[Currency], Meta(max_length=200)] | None = None
    home_base: HomeBase | None = None
    ship_to_countries: Annotated[list[Country], Meta(max_length=300)]
    tax_determination_based_on: Literal["BILLING_ADDRESS", "SHIPPING_ADDRESS"] | None = None
    shipping: FreeObjects | None = None
    payment: FreeObjects | None = None
    tax: FreeObjects | None = None
    assisted_buying: AssistedBuying | None = None
    cart_calculation_scale: Annotated[int, Meta(ge=0, le=20)] | None = None

    def values(self) -> JsonObject:
        names = dict(zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True))
        given = {names[name]: json_value(getattr(self, name)) for name in self.settings}
        settings = {name: value for name, value in given.items() if value is not None}
        return {**super().values(), "settings": settings}

    @classmethod
    def document(cls, row: Document) -> JsonObject:
        found = super().document(row)
        home_base, settings = row.home_base, row.settings  # type: ignore[attr-defined]
        if not home_base:
            del found["homeBase"]
        return {**found, "code": row.code, **settings}  # type: ignore[attr-defined]


class SiteBody(PatchedSite, kw_only=True):
    """A shop front. `code` may be left out: the address has it."""

    documented = SITES.documented

    home_base: HomeBase


class SiteCreation(SiteBody, kw_only=True):
    """A new site, which names its code."""

    code: Annotated[SiteCode, Meta(description="The site's code.")]


# Results and searches


class ResourceId(Body):
    """The id of what was created."""

    id: Annotated[str, Meta(description="The id of what was created.")]


class ImportedCustomerResult(Body, kw_only=True):
    """What became of one customer of an import; `index` counts from 0."""

    index: Annotated[int, Meta(description="The entry's position in the body.")]
    id: Annotated[str | None, Meta(description="The customer's number.")] = None
    code: Annotated[int, Meta(description="The status code that the entry would have got by itself.")]
    status: Annotated[str, Meta(description="The name of the code.")]
    message: Annotated[str | None, Meta(description="Why the entry was refused.")] = None
