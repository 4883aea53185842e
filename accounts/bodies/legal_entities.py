"""What clients send about legal entities and their contacts."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from accounts.bodies.rows import PlainName, RowBody, Text100, Text300
from accounts.models import ContactAssignment, LegalEntity
from accounts.representations import CONTACT_ASSIGNMENTS, LEGAL_ENTITIES
from core.bodies import Body, ClientId, OptionalReference, Reference
from core.json_types import JsonObject

LARGEST_AMOUNT = 1_000_000_000_000


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
